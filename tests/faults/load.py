"""People who work while a fault happens: the same operations for the same seed, to the end."""

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

from tests.faults.sizes import OPERATIONS, SEED
from tests.faults.world import World

AUTHORS = ("alice", "bob", "charlie")
KINDS = ("page", "page", "page", "note", "bulk", "change", "remove", "probe")
PATIENCE = 120.0  # seconds until an operation must have been answered


@dataclass
class Ledger:
    """What the API answered to one author."""

    events: list[str] = field(default_factory=list)  # subjects whose event was promised by a 201
    codes: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    done: int = 0


class Author(threading.Thread):
    """One author: each operation is sent until it is answered, under a key of its own."""

    def __init__(self, load: Load, name: str) -> None:
        super().__init__(daemon=True)
        self.load, self.name = load, name
        self.http = httpx.Client(timeout=load.timeout)
        self.random = random.Random(f"{load.seed}-{name}")
        self.cards: list[str] = []
        self.ledger = Ledger()
        self.error: BaseException | None = None

    def run(self) -> None:
        """This works until the load is done or told to end."""
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
        """This does one thing."""
        if kind in ("change", "remove") and not self.cards:
            kind = "page"
        getattr(self, kind)(f"{self.name}-{number}")

    def page(self, label: str) -> None:
        """This saves a page."""
        body = {"type": "URL", "url": f"https://example.org/{label}", "title": label}
        self.added(self.post("/api/v1/cards/", label, body).json())

    def note(self, label: str) -> None:
        """This writes a note."""
        body = {"type": "NOTE", "text": label}
        self.added(self.post("/api/v1/cards/", label, body).json())

    def bulk(self, label: str) -> None:
        """This saves several pages at once."""
        cards = [{"type": "URL", "url": f"https://example.org/{label}/{n}"} for n in range(5)]
        for result in self.post("/api/v1/cards/bulk/", label, {"cards": cards}).json()["results"]:
            self.added(result["card"])

    def change(self, label: str) -> None:
        """This hides a card for good: whom a card told before it was hidden depends on timing."""
        path = f"/api/v1/cards/{self.random.choice(self.cards)}/"
        self.send("PATCH", path, label, {"visibility": "PRIVATE"})

    def remove(self, label: str) -> None:
        """This removes a card; one that is gone was removed by the same request before."""
        card = self.cards.pop(self.random.randrange(len(self.cards)))
        self.send("DELETE", f"/api/v1/cards/{card}/", label, None, also=(404,))

    def probe(self, label: str, behaviour: str = "ok") -> None:
        """This sends a probe, which has an effect outside too."""
        self.post(f"/probe/?key={label}&behaviour={behaviour}", label, None)
        self.ledger.events.append(f"probes/{label}")

    def added(self, card: dict[str, Any]) -> None:
        """This remembers a card that the API says is there."""
        self.cards.append(card["id"])
        self.ledger.events.append(f"cards/{UUID(card['id'])}")

    def post(self, path: str, label: str, body: Any) -> httpx.Response:
        """This sends a POST."""
        return self.send("POST", path, label, body)

    def send(
        self, method: str, path: str, label: str, body: Any, *, also: Sequence[int] = ()
    ) -> httpx.Response:
        """This sends a request until it is answered; 5xx and broken connections are tried again."""
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
    """All authors at once; `operations` each, or until `finish` if it is None."""

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
        """This registers the authors, who all follow each other, and lets them work."""
        self._register()
        self.authors = [Author(self, name) for name in AUTHORS]
        for author in self.authors:
            author.start()

    def finish(self) -> None:
        """This returns when the last operation was answered."""
        self._ended.set()
        for author in self.authors:
            author.join(timeout=PATIENCE + 30)
            assert not author.is_alive(), f"{author.name} still waits for an answer"
            if author.error:
                raise author.error

    def abandon(self) -> None:
        """This lets authors that still work go home; what they do does not count."""
        self.abandoned = True
        self._ended.set()
        self.operations = None
        for author in self.authors:
            author.join(timeout=30)

    def run(self) -> None:
        """This does all of it."""
        self.start()
        self.finish()

    def is_abandoned(self) -> bool:
        """This says whether nobody waits for the load any more."""
        return self.abandoned

    def is_done(self, name: str, operations: int) -> bool:
        """This says whether an author may stop."""
        if self.operations is None:
            return self._ended.is_set()
        if isinstance(self.operations, int):
            return operations >= self.operations
        return operations >= self.operations[AUTHORS.index(name)]

    @property
    def done(self) -> int:
        """This is how many operations were answered."""
        return sum(author.ledger.done for author in self.authors)

    @property
    def codes(self) -> Counter[int]:
        """These are the status codes that were answered."""
        return sum((author.ledger.codes for author in self.authors), Counter())

    @property
    def promised(self) -> list[str]:
        """These are the subjects of the events that a 201 promised."""
        return [subject for author in self.authors for subject in author.ledger.events]

    @property
    def seconds(self) -> list[float]:
        """These are the times that answers took."""
        return [second for author in self.authors for second in author.ledger.seconds]

    def _register(self) -> None:
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
    """This returns when so many more operations were answered, or the load is through."""
    from tests.running import wait_for

    enough = load.done + operations
    wait_for(
        lambda: load.done >= enough or not any(author.is_alive() for author in load.authors),
        seconds=seconds,
        what=f"{operations} more operations are answered",
    )
