"""The commands that start a stack: `up` runs until Ctrl-C, `demo` for one run of the demo."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console

from stack.addresses import address_lines
from stack.binaries import ProgramMissing
from stack.embedded import DataInUse, owning
from stack.environment import data_directory
from stack.ports import PORTS, PortTaken, free_ports
from stack.processes import end_processes
from stack.programs import BASE_DIR, GROUP_STOP_SECONDS, SERVER_STOP_SECONDS
from stack.server_process import ServerFailed
from stack.stack import Stack, StackFailed
from stack.supervision import ORPHAN_SECONDS, SupervisorGone
from stack.watcher import processes_of, watching

# How often `up` starts everything again after supervisord was killed. supervisord restarts all
# other programs, but nothing else restarts supervisord.
SUPERVISOR_RESTARTS = 5
REFUSALS = (DataInUse, PortTaken, ProgramMissing, ServerFailed, StackFailed, SupervisorGone)


def up() -> int:
    """Run the stack until Ctrl-C, and show the output of its processes; return the exit code."""
    return _guarded(_up)


def demo() -> int:
    """Run the demo on a stack of its own, and return the demo's exit code."""
    return _guarded(_demo)


def _up(console: Console) -> int:
    """Start the stack and watch it; restart all after the supervisor was killed."""
    with _stack(console, show_lines=True, variables={}) as stack:
        stack.start()
        console.print("\nCommonplace is up. Ctrl-C stops it.\n", style="bold")
        console.print(address_lines(stack.servers), highlight=False)
        for _ in range(SUPERVISOR_RESTARTS):
            with suppress(SupervisorGone):
                stack.watch()
            console.print("The supervisor was killed: starting everything again.", style="yellow")
            stack.stop(hard=interrupts.hard)
            stack.start()
        stack.watch()
    return 0


def _demo(console: Console) -> int:
    variables = {
        # The demo must work without a network, and its cards name other people's pages.
        "FETCH_METADATA": "0",
        # All of the demo's readers register from one address.
        "REGISTRATIONS_PER_HOUR": os.environ.get("REGISTRATIONS_PER_HOUR") or "1000",
    }
    with _stack(console, show_lines=False, variables=variables) as stack:
        stack.start()
        command = [sys.executable, "-m", "demo"]
        code = subprocess.run(command, cwd=BASE_DIR, env=stack.environment, check=False).returncode
        console.print("Stopping the stack …")
    return code


class Interrupts:
    """A signal handler: the first Ctrl-C or SIGTERM stops gracefully, the second at once."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt

    def hard(self) -> bool:
        """Return whether a second signal has arrived."""
        return self.count > 1


interrupts = Interrupts()


@contextmanager
def _stack(console: Console, *, show_lines: bool, variables: Mapping[str, str]) -> Iterator[Stack]:
    """Own the data directory, end leftovers of an earlier stack, and stop the stack at the end."""
    with owning(data_directory()) as servers:
        stack = Stack(servers, console, show_lines=show_lines, variables=variables)
        end_previous(stack)
        stack.forget_scale()
        stack.set_ports(free_ports(PORTS, any_free=not show_lines))
        # If this process is killed, supervisord stops everything in order. The watcher kills the
        # rest when supervisord has been killed too.
        grace_seconds = GROUP_STOP_SECONDS + SERVER_STOP_SECONDS
        with watching(stack.mark, grace_seconds=grace_seconds), _stopping(stack):
            yield stack


@contextmanager
def _stopping(stack: Stack) -> Iterator[None]:
    """Stop the stack at the end of the block, however it ends."""
    try:
        yield
    finally:
        # From here on, Ctrl-C must not raise KeyboardInterrupt and abort the stopping. It only
        # makes the stopping hard.
        interrupts.count = max(interrupts.count, 1)
        stack.stop(hard=interrupts.hard)


def end_previous(stack: Stack) -> None:
    """Wait for, or kill, every process left behind by a killed stack on the same data directory."""
    if processes_of(stack.servers.data):
        stack.say("waiting for processes of a killed stack to end …")
    stack.supervisor.wait_for_previous()
    # The kernel has sent them their death signal. Most end at once, but a Celery worker may wait
    # for its broker.
    end_processes(processes_of(stack.servers.data), grace_seconds=ORPHAN_SECONDS)
    stack.servers.stop()


def _guarded(command: Callable[[Console], int]) -> int:
    """Run a command with signal handlers; print an expected error, and return the exit code."""
    console = Console(soft_wrap=True)
    signal.signal(signal.SIGINT, interrupts)
    signal.signal(signal.SIGTERM, interrupts)
    os.chdir(BASE_DIR)
    try:
        return command(console)
    except KeyboardInterrupt:
        return 0
    except REFUSALS as refusal:
        Console(stderr=True, soft_wrap=True).print(str(refusal), style="red", markup=False)
        return 1
