"""A RabbitMQ with its data in one directory, for tests and benchmarks."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stack import debian
from stack.ports import LOOPBACK
from stack.server_process import ServerFailed, tail

START_SECONDS = 60.0
STOP_SECONDS = 20.0
# With TLS as well; the certificate and its key, PEM.
TLS = """\
listeners.ssl.1 = {address}:{port}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
"""
CONFIGURATION = """\
listeners.tcp.1 = {address}:{port}
log.console = true
log.console.level = warning
log.file = false
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""


@contextmanager
def running(data: Path, *, certificate: Path | None = None) -> Iterator[RabbitMQ]:
    """Run a RabbitMQ during the block. Raise ProgramMissing without its programs."""
    server = RabbitMQ(data, certificate=certificate)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class RabbitMQ:
    """A server on a free port, and epmd, the process through which Erlang's nodes find each other.

    `url` is the address for Celery; `tls_port` is used with a certificate, whose key has the suffix
    .key.
    """

    def __init__(self, data: Path, *, certificate: Path | None = None) -> None:
        self.data = data.absolute()
        self.data.mkdir(parents=True, exist_ok=True)
        self.log = self.data / "rabbitmq.log"
        self.port, self.tls_port, epmd_port, node_port = free_ports(4)
        self.url = f"amqp://guest:guest@{LOOPBACK}:{self.port}//"
        configuration = self.data / "rabbitmq.conf"
        text = CONFIGURATION.format(address=LOOPBACK, port=self.port)
        if certificate:
            key = certificate.with_suffix(".key")
            text += TLS.format(
                address=LOOPBACK, port=self.tls_port, certificate=certificate, key=key
            )
        configuration.write_text(text)
        self._server_program, path = _programs()
        self._environment = os.environ | {
            "PATH": path,
            "HOME": str(self.data),  # of Erlang's cookie
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_DIST_PORT": str(node_port),
            "RABBITMQ_NODENAME": "commonplace@localhost",
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_MNESIA_BASE": str(self.data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.data),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.data / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2"
            ),
            # Makes the script run the server in its own process, which then gets the signals.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        self._epmd: subprocess.Popen[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and return when it accepts connections; raise ServerFailed if not."""
        if self._epmd is None:
            self._epmd = self._run("epmd")
        self.process = self._run(str(self._server_program))
        deadline = time.monotonic() + START_SECONDS
        while not self.responds():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"RabbitMQ did not start. Its log:\n{tail(self.log)}")
            time.sleep(0.1)

    def responds(self) -> bool:
        """Return whether the server sends the beginning of AMQP's handshake."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl, and return its output; raise CalledProcessError if it fails."""
        return subprocess.run(
            [str(self._server_program.with_name("rabbitmqctl")), "--quiet", *arguments], check=True,
            env=self._environment, capture_output=True, text=True, timeout=START_SECONDS,
        ).stdout  # fmt: skip

    def kill(self) -> None:
        """Kill the server, as a crash would end it; `start` starts it again with its data."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Stop the server, and epmd after it."""
        for process in (self.process, self._epmd):
            if process is not None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.process = self._epmd = None

    def _run(self, program: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [program], env=self._environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Return different free ports of the loopback interface."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def _programs() -> tuple[Path, str]:
    """Return the path of rabbitmq-server, and the PATH with Erlang's programs."""
    path = os.environ["PATH"]
    if installed := shutil.which("rabbitmq-server"):
        # Not Debian's wrapper of this name, which only root and the user rabbitmq may run.
        scripts = sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin/rabbitmq-server"))
        return (scripts[-1] if scripts else Path(installed)), path
    folder = debian.unpacked("rabbitmq-server")
    erlang = folder / "usr/lib/erlang"
    # Debian's script has the folder of an installed Erlang in it. Written only when it changes:
    # another test run may be using it.
    script = erlang / "bin/erl"
    text = script.read_text()
    if (moved := re.sub(r"ROOTDIR=/.*", f"ROOTDIR={erlang}", text)) != text:
        script.write_text(moved)
    (server,) = folder.glob("usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
    return server, f"{erlang / 'bin'}{os.pathsep}{path}"
