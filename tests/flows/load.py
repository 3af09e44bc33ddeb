"""A load on the API of a running stack."""

from __future__ import annotations

import threading
from collections import Counter
from uuid import uuid4

import httpx

from tests.flows.running_stack import Reader
from tests.harness.processes import wait_for


class Load:
    """Cards added one after another, each until it is answered, under a key of its own."""

    def __init__(self, author: Reader, *, pause: float = 0) -> None:
        self.author = author
        self.pause = pause
        self.added: set[str] = set()
        self.codes: Counter[int] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def answered(self) -> int:
        """Return the number of added cards."""
        return len(self.added)

    def start(self) -> None:
        """Start adding cards."""
        self._thread.start()

    def wait_for_more(self, cards: int) -> None:
        """Wait until this many more cards are added."""
        wanted = self.answered + cards
        wait_for(lambda: self.answered >= wanted, seconds=30, what=f"{cards} cards are added")

    def finish(self) -> None:
        """Stop after the current card."""
        self._ended.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ended.is_set():
            url, key = f"https://example.org/killed/{len(self.added)}", str(uuid4())
            while not self._answered(url, key):
                self._ended.wait(0.05)
            self.added.add(url)
            self._ended.wait(self.pause)

    def _answered(self, url: str, key: str) -> bool:
        try:
            code = self.author.add(url, key).status_code
        except httpx.TransportError:
            return False
        self.codes[code] += 1
        return code == 201
