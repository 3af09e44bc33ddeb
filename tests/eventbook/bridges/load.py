"""Numbered events of several aggregates, recorded while a test breaks something."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from tests.probe.signals import ProbeSent, probe_sent

AGGREGATES = 5


class Load:
    """Threads that each record the events of one aggregate, numbered from 1, until `stop`."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = {}
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._record, args=(f"load-{n}",)) for n in range(AGGREGATES)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        """The number of recorded events."""
        return sum(self.sent.values())

    def _record(self, key: str) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            with transaction.atomic():
                probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=str(number)))
            self.sent[key] = number
            self._stopped.wait(0.002)
        connection.close()


@contextmanager
def load() -> Iterator[Load]:
    """Record events during the block."""
    running = Load()
    running.start()
    try:
        yield running
    finally:
        running.stop()


def break_at_random(acts: list[Callable[[], None]], *, times: int, seed: int) -> None:
    """Run one of the acts after a short random time, and do so `times` times."""
    chance = random.Random(seed)
    pause = threading.Event()
    for number in range(times):
        pause.wait(chance.uniform(0.2, 1.0))
        acts[number % len(acts)]()


def numbers(events: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    """Return the numbers of the events of each aggregate, in order."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        found[event["data"]["key"]].append(int(event["data"]["text"]))
    return dict(found)


def first_numbers(events: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    """Return the same without repetitions: as a consumer that knows earlier ids sees them."""
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        first.setdefault(event["id"], event)
    return numbers(first.values())


def expected(sent: dict[str, int]) -> dict[str, list[int]]:
    """Return what `numbers` is if every event arrived once, and each aggregate's in order."""
    return {key: list(range(1, last + 1)) for key, last in sent.items()}
