"""Authors who use the API during a fault. The same seed gives the same operations."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from tests.faults.sizes import KILLS, OPERATIONS, SEED
from tests.faults.world import World

AUTHORS = ("alice", "bob", "charlie")
KINDS = ("page", "page", "page", "note", "bulk", "change", "remove", "probe")
PATIENCE = 120.0  # seconds within which an operation must succeed


@dataclass
class Ledger:
    """The API's responses to one author."""

    events: list[str] = field(default_factory=list)  # subjects whose event was promised by a 201
    codes: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    done: int = 0


class Author(threading.Thread):
    """One author, who repeats each operation, with its own idempotency key, until it succeeds."""

    def __init__(self, load: Load, name: str) -> None:
        super().__init__(daemon=True)
        self.load, self.name = load, name
        self.http = httpx.Client(timeout=load.timeout)
        self.random = random.Random(f"{load.seed}-{name}")
        self.cards: list[str] = []
        self.ledger = Ledger()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Perform operations until the load is done."""
        try:
            while not self.load.is_done(self.name, self.ledger.done):
                self.operate(self.random.choice(self.load.kinds), self.ledger.done)
                self.ledger.done += 1
                time.sleep(self.load.pause)
        except BaseException as error:
            self.error = error
        finally:
            self.http.close()

    def operate(self, kind: str, number: int) -> None:
        """Perform one operation; without cards, save a page instead of changing or removing one."""
        if kind in ("change", "remove") and not self.cards:
            kind = "page"
        getattr(self, kind)(f"{self.name}-{number}")

    def page(self, label: str) -> None:
        """Save a page."""
        body = {"type": "URL", "url": f"https://example.org/{label}", "title": label}
        self.added(self.post("/api/v1/cards/", label, body).json())

    def note(self, label: str) -> None:
        """Write a note."""
        body = {"type": "NOTE", "text": label}
        self.added(self.post("/api/v1/cards/", label, body).json())

    def bulk(self, label: str) -> None:
        """Save several pages with one request."""
        cards = [{"type": "URL", "url": f"https://example.org/{label}/{n}"} for n in range(5)]
        for result in self.post("/api/v1/cards/bulk/", label, {"cards": cards}).json()["results"]:
            self.added(result["card"])

    def change(self, label: str) -> None:
        """Hide a card for good. Showing it again would make its notifications depend on timing."""
        path = f"/api/v1/cards/{self.random.choice(self.cards)}/"
        self.send("PATCH", path, label, {"visibility": "PRIVATE"})

    def remove(self, label: str) -> None:
        """Remove a card. A 404 means that an earlier attempt of this request removed it."""
        card = self.cards.pop(self.random.randrange(len(self.cards)))
        self.send("DELETE", f"/api/v1/cards/{card}/", label, None, also=(404,))

    def probe(self, label: str, behaviour: str = "ok") -> None:
        """Send a probe, which also has an outside effect."""
        self.post(f"/probe/?key={label}&behaviour={behaviour}", label, None)
        self.ledger.events.append(f"probes/{label}")

    def added(self, card: dict[str, Any]) -> None:
        """Record a card for which the API promised an event."""
        self.cards.append(card["id"])
        self.ledger.events.append(f"cards/{UUID(card['id'])}")

    def post(self, path: str, label: str, body: Any) -> httpx.Response:
        """Send a POST request until it succeeds."""
        return self.send("POST", path, label, body)

    def send(
        self, method: str, path: str, label: str, body: Any, *, also: Sequence[int] = ()
    ) -> httpx.Response:
        """Send a request until it succeeds; retry after 429, 503 and broken connections.

        Raise AssertionError for another error status, and after PATIENCE seconds.
        """
        headers = {"Authorization": f"Token {self.load.tokens[self.name]}"}
        headers |= {"Idempotency-Key": label} if method == "POST" else {}
        deadline = time.monotonic() + PATIENCE
        attempt = 0
        while time.monotonic() < deadline and not self.load.is_abandoned():
            web = self.load.webs[attempt % len(self.load.webs)]
            attempt += 1
            began = time.monotonic()
            try:
                answer = self.http.request(
                    method, self.load.world.url(web) + path, json=body, headers=headers
                )
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            self.ledger.codes[answer.status_code] += 1
            self.ledger.seconds.append(time.monotonic() - began)
            if answer.status_code < 400 or answer.status_code in also:
                return answer
            assert answer.status_code in (429, 503), f"{answer.status_code}: {answer.text[:500]}"
            time.sleep(0.05)
        raise AssertionError(f"{method} {path} was not answered within {PATIENCE:.0f} s.")


class Load:
    """All authors at once. Each performs `operations`, or if that is None works until `finish`."""

    def __init__(
        self,
        world: World,
        *,
        operations: int | Sequence[int] | None = OPERATIONS,
        seed: int = SEED,
        webs: Sequence[str] = ("web",),
        kinds: Sequence[str] = KINDS,
        timeout: float = 10.0,
        pause: float = 0.0,
    ) -> None:
        self.world, self.seed, self.webs, self.kinds = world, seed, webs, kinds
        self.timeout, self.pause = timeout, pause
        self.operations = operations
        self.tokens: dict[str, str] = {}
        self._ended = threading.Event()
        self.authors: list[Author] = []
        self.abandoned = False
        world.loads.append(self)

    def start(self) -> None:
        """Register the authors, who all follow each other, and start them."""
        self._register()
        self.authors = [Author(self, name) for name in AUTHORS]
        for author in self.authors:
            author.start()

    def finish(self) -> None:
        """Wait until all operations have succeeded; raise an author's error."""
        self._ended.set()
        for author in self.authors:
            author.join(timeout=PATIENCE + 30)
            assert not author.is_alive(), f"{author.name} still waits for an answer"
            if author.error:
                raise author.error

    def abandon(self) -> None:
        """Stop authors that still work, and ignore their results."""
        self.abandoned = True
        self._ended.set()
        self.operations = None
        for author in self.authors:
            author.join(timeout=30)

    def run(self) -> None:
        """Start the authors, and wait until they have finished."""
        self.start()
        self.finish()

    def is_abandoned(self) -> bool:
        """Return whether the load was abandoned."""
        return self.abandoned

    def is_done(self, name: str, operations: int) -> bool:
        """Return whether an author may stop after this many operations."""
        if self.operations is None:
            return self._ended.is_set()
        if isinstance(self.operations, int):
            return operations >= self.operations
        return operations >= self.operations[AUTHORS.index(name)]

    @property
    def done(self) -> int:
        """Return the number of operations that succeeded."""
        return sum(author.ledger.done for author in self.authors)

    @property
    def codes(self) -> Counter[int]:
        """Return the counts of all status codes in responses."""
        return sum((author.ledger.codes for author in self.authors), Counter())

    @property
    def promised(self) -> list[str]:
        """Return the subjects of the events that a 201 promised."""
        return [subject for author in self.authors for subject in author.ledger.events]

    @property
    def seconds(self) -> list[float]:
        """Return the response times."""
        return [second for author in self.authors for second in author.ledger.seconds]

    def _register(self) -> None:
        """Register the authors, and let each follow the others."""
        with httpx.Client(base_url=f"{self.world.url()}/api/v1", timeout=30) as http:
            for name in AUTHORS:
                person = {
                    "username": name,
                    "email": f"{name}@example.org",
                    "password": f"{name}-reads-a-lot",
                }
                answer = http.post("/auth/register/", json=person).raise_for_status()
                self.tokens[name] = answer.json()["token"]
            for name in AUTHORS:
                headers = {"Authorization": f"Token {self.tokens[name]}"}
                for other in AUTHORS:
                    if other != name:
                        path, body = f"/users/{other}/follow/", {"notify": True}
                        http.put(path, json=body, headers=headers).raise_for_status()


def wait_for_more(load: Load, operations: int, *, seconds: float = 60) -> None:
    """Wait until this many more operations have succeeded, or the load is done."""
    from tests.harness.processes import wait_for

    enough = load.done + operations
    wait_for(
        lambda: load.done >= enough or not any(author.is_alive() for author in load.authors),
        seconds=seconds,
        what=f"{operations} more operations are answered",
    )


def kill_connections(world: World, load: Load) -> None:
    """Run the load, and end all database sessions KILLS times meanwhile."""
    dice = random.Random(SEED)
    load.start()
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.1, 0.5))
        world.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    load.finish()
