"""The environment of the stack's processes: addresses, ports, secrets."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from config.embedded import Servers
from config.local_secret import local_secret
from config.stack.programs import BASE_DIR, fly

LOOPBACK = "127.0.0.1"
# A warning for production; here the user may well be root.
QUIET = "ignore:You're running the worker:UserWarning"
# There is no proxy, and everybody comes from this machine.
ONE_ADDRESS = {"TRUSTED_PROXIES": "0", "REGISTRATIONS_PER_HOUR": "150"}


class PortTaken(RuntimeError):
    """Another program listens on a port of ours; the message names the variable to set."""


def data_directory() -> Path:
    """This is where the stack keeps everything: the same place that the settings use."""
    return Path(os.environ.get("DATA_DIR") or BASE_DIR / ".data").absolute()


def stack_environment(servers: Servers, ports: Mapping[str, int]) -> dict[str, str]:
    """This is the environment of every process of the stack."""
    data = servers.data
    flower_login = f"admin:{local_secret(data, 'flower_password', length=12)}"
    flower_prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
    defaults = {
        **fly()["env"],
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "SECRET_KEY": os.environ.get("SECRET_KEY") or local_secret(data, "secret_key"),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "CSRF_TRUSTED_ORIGINS": "",
        "FLOWER_BASIC_AUTH": flower_login,
        **ONE_ADDRESS,
    }
    fixed = {
        "DATA_DIR": str(data),
        "INSECURE_HTTP": "1",
        "BASE_URL": f"http://{LOOPBACK}:{ports['PORT']}",
        "PORT": str(ports["PORT"]),
        "WEB_ADDRESS": LOOPBACK,
        "WEB_PORT": str(ports["PORT"]),
        # All processes are on this machine, and one port would be that of the first.
        "HEALTH_PORT": "0",
        "FLOWER_ADDRESS": LOOPBACK,
        "FLOWER_PORT": str(ports["FLOWER_PORT"]),
        "FLOWER_DB": str(data / "flower"),
        "FLOWER_URL": f"http://{LOOPBACK}:{ports['FLOWER_PORT']}/{flower_prefix}".rstrip("/") + "/",
        "EXPORTER_ADDRESS": LOOPBACK,
        "EXPORTER_PORT": str(ports["EXPORTER_PORT"]),
        # So that `python` and `celery` of fly.toml are those of our environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Whatever locale the terminal has: other people's programs read files and write lines too.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": QUIET,
    }
    given = {name: value for name, value in os.environ.items() if value}
    return {**defaults, **given, **fixed}


def free_ports(defaults: Mapping[str, int], *, any_free: bool = False) -> dict[str, int]:
    """This is the port of each variable, refused when it is taken, or any free one if allowed."""
    ports = {}
    for variable, default in defaults.items():
        given = os.environ.get(variable, "")
        wanted = _number(variable, given) if given else 0 if any_free else default
        ports[variable] = _bindable(variable, wanted)
    if len(set(ports.values())) < len(ports):
        raise PortTaken(f"{' and '.join(ports)} name the same port: set one of them to another.")
    return ports


def _number(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise PortTaken(f"{variable}={text} is no port: set {variable} to a number up to 65535.")


def _bindable(variable: str, port: int) -> int:
    with socket.socket() as probe:
        # As the servers do, or a connection that closed a moment ago would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError as error:
            refusal = f"Port {port} cannot be used ({error.strerror}): set {variable} to another."
            raise PortTaken(refusal) from error
        return int(probe.getsockname()[1])
