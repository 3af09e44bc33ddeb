"""Measure adding cards while the broker is stopped, frozen or silent: writers shouldn't notice."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.http import lengths as of
from benchmarks.http.lengths import Lengths
from benchmarks.http.load import Load, result, send
from benchmarks.http.sites import Commonplace
from benchmarks.http.writes import PATH
from benchmarks.servers import command_of, environment, wait_until
from benchmarks.work import UNFINISHED, WrongRows, count
from stack.embedded import START_SECONDS, Servers

STATES = ("normal", "refused", "paused", "blackholed")
RECOVERY = 90.0  # seconds
GROUPS = ("relay", "notification-worker", "feed-worker", "event-worker")
READY = {"relay": b"relay.started"}


class Stack(Commonplace):
    """Commonplace as a whole: web process, relay and workers."""

    def start(self) -> None:
        """Start the relay and the workers, then the web process."""
        for group in GROUPS:
            variables = environment(self.servers) | {"LOG_LEVEL": "INFO", "PROCESS_NAME": group}
            self.processes.start(group, command_of(group), variables)
        wait_until(self._works, seconds=60, what="the workers are ready", processes=self.processes)
        super().start()

    def _works(self) -> bool:
        logs = {name: (self.processes.log / f"{name}.log").read_bytes() for name in GROUPS}
        return all(READY.get(name, b"worker.started") in log for name, log in logs.items())

    def is_idle(self) -> bool:
        """Return whether all recorded events have been delivered."""
        return self.session.execute(UNFINISHED).fetchone() == (False,)


def in_turn(number: int) -> Sequence[str]:
    """Return the states, rotated by the number of the round."""
    first = number % len(STATES)
    return STATES[first:] + STATES[:first]


def post(stack: Stack, state: str, tokens: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """Measure adding cards at a fixed rate while the broker is in a state.

    Raise WrongRows unless all cards, events and deliveries are there after the broker's recovery.
    """
    load = Load(
        path=PATH, tokens=tokens, connections=of.READING_CONNECTIONS, seconds=lengths.outage,
        status=201, body="card", rate=of.OUTAGE_RATE,
    )  # fmt: skip
    before = _counts(stack)
    with broker(stack.servers, state):
        # A warm-up, because the change of state itself slows requests down.
        warm = send(stack, load.lasting(lengths.warm))
        found = send(stack, load)
    wait_until(stack.is_idle, seconds=RECOVERY, what="all is delivered", processes=stack.processes)
    added = warm["answered"] + found["answered"]
    for what, number in _counts(stack).items():
        if number != before[what] + added:
            raise WrongRows(f"{added} cards were added, but {number - before[what]} {what}")
    return result(found)


def _counts(stack: Stack) -> dict[str, int]:
    """Return the numbers of cards, events and finished fan-outs."""
    return {
        "cards": count(stack.session, "cards_card"),
        "events": count(stack.session, "eventbook_event WHERE type = 'card.added'"),
        "fan-outs": count(
            stack.session, "eventbook_delivery WHERE handler = 'feeds.fan_out' AND state = 'done'"
        ),
    }


@contextmanager
def broker(servers: Servers, state: str) -> Iterator[None]:
    """Hold the broker in a state during the block."""
    match state:
        case "refused":
            with _stopped(servers):
                yield
        case "paused":
            with _paused(servers):
                yield
        case "blackholed":
            with _stopped(servers), _silence(servers):
                yield
        case _:
            yield


@contextmanager
def _stopped(servers: Servers) -> Iterator[None]:
    """Stop the broker during the block."""
    servers.valkey.stop()
    try:
        yield
    finally:
        servers.valkey.start(responds=servers.valkey_responds, seconds=START_SECONDS)


@contextmanager
def _paused(servers: Servers) -> Iterator[None]:
    """Suspend the broker (SIGSTOP) during the block."""
    pid = servers.valkey.pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _silence(servers: Servers) -> Iterator[None]:
    """Accept connections at the broker's address, and never respond."""
    address = servers.valkey_socket
    address.unlink(missing_ok=True)
    held: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(128)
        accepter = threading.Thread(target=_accept, args=(listener, held))
        accepter.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepter.join()
            for connection in held:
                connection.close()
            address.unlink(missing_ok=True)


def _accept(listener: socket.socket, held: list[socket.socket]) -> None:
    """Accept connections until the listener is shut down."""
    with suppress(OSError):
        while True:
            held.append(listener.accept()[0])
