"""The commands for a stack that another process runs: `status`, `scale` and `restart`."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console

from stack import locks
from stack.addresses import address_lines
from stack.embedded import Servers
from stack.environment import data_directory
from stack.programs import replace_text, with_groups
from stack.scale import Scale, ScaleRefused
from stack.server_process import tail
from stack.stack import SCALE_FILE, StackFailed
from stack.supervision import FAILED, RUNNING, Supervisor

START_SECONDS = 60
POLL_SECONDS = 0.1


class NoStack(RuntimeError):
    """No stack runs on this data directory; the message says how to start one."""


def status(arguments: list[str]) -> int:
    """Print each process and its state, changes by `scale` and `restart`, addresses and logins."""
    if arguments:
        raise ScaleRefused("usage: python -m stack status")
    with _running() as stack:
        stack.show()
        Console(soft_wrap=True).print(address_lines(stack.servers), highlight=False)
    return 0


def scale(arguments: list[str]) -> int:
    """Set the number of processes of some groups; each argument is like `feed-worker=3`."""
    if not arguments or not all("=" in argument for argument in arguments):
        raise ScaleRefused("usage: python -m stack scale GROUP=COUNT …")
    with _running() as stack:
        wanted = stack.scale()
        for argument in arguments:
            name, _, count = argument.partition("=")
            wanted = wanted.with_count(name, count)
        stack.apply(wanted)
        stack.show(argument.partition("=")[0] for argument in arguments)
    return 0


def restart(arguments: list[str]) -> int:
    """Restart the processes of a group one after another; arguments: `feed-worker NAME=value …`.

    The variables stay set for the group until the stack ends; `NAME=` removes one again.
    """
    if not arguments or not all("=" in argument for argument in arguments[1:]):
        raise ScaleRefused("usage: python -m stack restart GROUP [NAME=value …]")
    group, *pairs = arguments
    with _running() as stack:
        variables = dict(pair.split("=", 1) for pair in pairs)
        wanted = stack.scale().with_variables(group, variables)
        stack.apply(wanted, restart=group)
        stack.show([group])
    return 0


@contextmanager
def _running() -> Iterator["RunningStack"]:
    """Yield the running stack, locked against other changes; raise NoStack without one."""
    data = data_directory()
    if not locks.is_locked(data / "owner.lock"):
        raise NoStack(f"No stack runs on {data}: start one with `make up`.")
    with locks.locked(data / "scale.lock"):
        yield RunningStack(Servers(data))


class RunningStack:
    """A stack that another process started and watches, controlled through its supervisord."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.conf = servers.data / "supervisord.conf"
        self.scale_file = servers.data / SCALE_FILE
        self.supervisor = Supervisor(self.conf, servers.run, servers.log)

    def scale(self) -> Scale:
        """Return the current counts and variables of the groups."""
        return Scale.read(self.scale_file)

    def apply(self, wanted: Scale, *, restart: str = "") -> None:
        """Start and stop processes until they are as wanted; unchanged ones run on.

        The processes of the group `restart` are all restarted, one after another: each when the one
        before it runs again. Raise StackFailed if a process does not stay up.
        """
        programs = wanted.programs()
        conf = with_groups(self.conf.read_text(encoding="utf-8"), programs, self.servers)
        replace_text(self.conf, conf)
        wanted.write(self.scale_file)
        added, removed = self.supervisor.reread()
        self.supervisor.stop_and_remove(removed)
        self._start_added(added)
        for program in wanted.programs_of(restart) if restart else ():
            self.supervisor.stop_and_remove([program.name])
            self._start_added([program.name])

    def show(self, groups: Iterable[str] = ()) -> None:
        """Print the processes of these groups, by default all, and the groups' own variables."""
        scale, chosen = self.scale(), set(groups)
        names = {program.name for group in chosen for program in scale.programs_of(group)}
        for process in self.supervisor.processes():
            if not chosen or process["name"] in names:
                _say(f"{process['name']:24} {process['statename']:9} {process['description']}")
        for name, group in scale.groups.items():
            if group.count == 0 and (not chosen or name in chosen):
                _say(f"{name:24} scaled to 0")
            for variable, value in group.variables.items():
                _say(f"{name:24} has        {variable}={value}")

    def _start_added(self, names: list[str]) -> None:
        """Start programs, and wait until all are running; raise StackFailed after START_SECONDS."""
        self.supervisor.start_added(names)
        deadline = time.monotonic() + START_SECONDS
        while any(state != RUNNING for state in self._states(names)):
            if time.monotonic() > deadline:
                raise StackFailed(f"Not running after {START_SECONDS} s: {', '.join(names)}.")
            time.sleep(POLL_SECONDS)

    def _states(self, names: list[str]) -> list[str]:
        """Return the states of these programs; raise StackFailed if one has failed."""
        states = self.supervisor.states()
        for name in names:
            if states.get(name) in FAILED:
                log = self.servers.log / f"{name}.log"
                raise StackFailed(f"{name} does not stay up. The end of {log}:\n{tail(log)}")
        return [states.get(name, "") for name in names]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
