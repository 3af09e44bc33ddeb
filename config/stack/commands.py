"""`up` and `demo`: the stack until Ctrl-C, and the stack for one run of the demo."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rich.console import Console

from config.binaries import ProgramMissing
from config.embedded import DataInUse, owning
from config.ports import PORTS, PortTaken, free_ports
from config.server import ServerFailed
from config.stack.addresses import address_lines
from config.stack.environment import data_directory
from config.stack.programs import BASE_DIR, GROUP_STOP_SECONDS, SERVER_STOP_SECONDS
from config.stack.stack import Stack, StackFailed
from config.stack.supervision import ORPHAN_SECONDS, SupervisorGone
from config.watcher import end, left_by, watching

# How often `up` starts everything again when supervisord, which restarts the others, was killed.
SUPERVISOR_LIVES = 5
REFUSALS = (DataInUse, PortTaken, ProgramMissing, ServerFailed, StackFailed, SupervisorGone)


def up() -> int:
    """Run the stack until Ctrl-C, and show what its processes write."""
    return _guarded(_up)


def demo() -> int:
    """Run the demo on a stack of its own, and return the demo's exit code."""
    return _guarded(_demo)


def _up(console: Console) -> int:
    with _stack(console, show_lines=True) as stack:
        stack.start()
        console.print("\nCommonplace is up. Ctrl-C stops it.\n", style="bold")
        console.print(address_lines(stack.servers), highlight=False)
        for _ in range(SUPERVISOR_LIVES):
            with suppress(SupervisorGone):
                stack.watch()
            console.print("The supervisor was killed: starting everything again.", style="yellow")
            stack.stop(hard=interrupts.hard)
            stack.start()
        stack.watch()
    return 0


def _demo(console: Console) -> int:
    # It runs without a network, and its pages are other people's.
    os.environ["FETCH_METADATA"] = "0"
    # All of its readers register from this machine.
    os.environ.setdefault("REGISTRATIONS_PER_HOUR", "1000")
    with _stack(console, show_lines=False) as stack:
        stack.start()
        command = [sys.executable, "-m", "demo"]
        code = subprocess.run(command, cwd=BASE_DIR, env=stack.environment, check=False).returncode
        console.print("Stopping the stack …")
    return code


class Interrupts:
    """This makes the first Ctrl-C or SIGTERM a graceful end, and the second a hard one."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            raise KeyboardInterrupt

    def hard(self) -> bool:
        """Return whether somebody asked twice."""
        return self.count > 1


interrupts = Interrupts()


@contextmanager
def _stack(console: Console, *, show_lines: bool) -> Iterator[Stack]:
    with owning(data_directory()) as servers:
        stack = Stack(servers=servers, console=console, show_lines=show_lines)
        end_previous(stack)
        stack.forget_scale()
        stack.set_ports(free_ports(PORTS, any_free=not show_lines))
        # The supervisor stops everything in order when we are killed, unless it is, too.
        patience = GROUP_STOP_SECONDS + SERVER_STOP_SECONDS
        with watching(stack.mark, patience=patience), _stopping(stack):
            yield stack


@contextmanager
def _stopping(stack: Stack) -> Iterator[None]:
    try:
        yield
    finally:
        # From here on a first Ctrl-C must not break off the stopping; a second one hastens it.
        interrupts.count = max(interrupts.count, 1)
        stack.stop(hard=interrupts.hard)


def end_previous(stack: Stack) -> None:
    """Return when nothing is left of a stack on this data that was killed, its servers included."""
    if left_by(stack.servers.data):
        stack.say("waiting for the end of what a stack that was killed has left …")
    stack.supervisor.wait_for_previous()
    # Their death signal has reached them: most end at once, but a worker may wait for its broker.
    end(left_by(stack.servers.data), patience=ORPHAN_SECONDS)
    stack.servers.stop()


def _guarded(command: Callable[[Console], int]) -> int:
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
