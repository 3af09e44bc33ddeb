"""Judge the state after a fault: no event is lost, all deliveries ended, no effect is doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from eventbook.declare.handlers import all_handlers, handlers
from tests.faults.load import Load
from tests.faults.world import World

# The effects that users see, without ids and times, so that two runs can be compared.
EFFECTS = {
    "cards": """
        SELECT curator.username, card.type, coalesce(url.canonical, card.text), card.title,
               card.visibility
        FROM cards_card card JOIN accounts_user curator ON curator.id = card.curator_id
        LEFT JOIN pages_url url ON url.id = card.url_id
    """,
    "timelines": """
        SELECT owner.username, author.username, coalesce(url.canonical, card.text)
        FROM feeds_timelineentry entry
        JOIN accounts_user owner ON owner.id = entry.owner_id
        JOIN accounts_user author ON author.id = entry.author_id
        JOIN cards_card card ON card.id = entry.card_id AND card.visibility = 'PUBLIC'
        LEFT JOIN pages_url url ON url.id = card.url_id
    """,
    "notifications": """
        SELECT recipient.username, notification.kind, actor.username,
               coalesce(url.canonical, card.text)
        FROM notifications_notification notification
        JOIN accounts_user recipient ON recipient.id = notification.recipient_id
        JOIN accounts_user actor ON actor.id = notification.actor_id
        LEFT JOIN cards_card card ON card.id = notification.card_id
        LEFT JOIN pages_url url ON url.id = card.url_id
        WHERE notification.card_id IS NULL OR card.id IS NOT NULL AND card.visibility = 'PUBLIC'
    """,
    "probes": "SELECT key, handler FROM probe_effect",
}
# Hidden cards are left out: whether a card was fanned out before it was hidden depends on timing.

Rows = dict[str, Counter[Hashable]]


class Unclean(AssertionError):
    """An event or effect was lost or doubled, or a delivery is still open."""


@dataclass
class Verdict:
    """The numbers of lost and doubled rows, and a description of each problem."""

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)

    def require_clean(self) -> None:
        """Raise Unclean, listing all problems, if there are any."""
        if self.problems:
            raise Unclean("\n".join(self.problems))

    def compare(self, what: str, expected: Counter[Hashable], found: Counter[Hashable]) -> None:
        """Count missing rows as lost, and surplus rows as doubled."""
        missing, surplus = expected - found, found - expected
        self.lost += missing.total()
        self.doubled += surplus.total()
        if missing:
            self.problems.append(f"{what}: {missing.total()} missing: {first(missing)}")
        if surplus:
            self.problems.append(f"{what}: {surplus.total()} too many: {first(surplus)}")


def first(rows: Iterable[Hashable]) -> str:
    """Return the first five rows as text."""
    return ", ".join(str(row) for row in list(rows)[:5])


def judge(world: World, load: Load, *, states: frozenset[str] = frozenset({"done"})) -> Verdict:
    """Judge a world that has recovered from a fault; all deliveries must be in one of `states`.

    This runs the same operations again without a fault, for comparison, and leaves the world reset.
    """
    verdict = Verdict()
    check_promises(world, load, verdict)
    check_deliveries(world, verdict, states)
    check_outside(world, verdict)
    found = effects(world)
    for what, rows in reference(world, load).items():
        verdict.compare(what, rows, found[what])
    return verdict


def check_promises(world: World, load: Load, verdict: Verdict) -> None:
    """Check that each 201 response has exactly one event in the store."""
    stored = Counter[Hashable](
        subject
        for (subject,) in world.rows(
            "SELECT subject FROM eventbook_event WHERE type IN ('card.added', 'probe.sent')"
        )
    )
    verdict.compare("events of what was answered 201", Counter(load.promised), stored)


def check_deliveries(world: World, verdict: Verdict, states: frozenset[str]) -> None:
    """Check that no delivery is open, and each (event, handler) ended exactly once."""
    subscribed = Counter[Hashable]()
    for type_, count in world.rows("SELECT type, count(*) FROM eventbook_event GROUP BY 1"):
        for handler in all_handlers():
            if handler.event_name == type_:
                subscribed[handler.name] += count
    whole = world.rows(
        "SELECT handler, state, event_id::text FROM eventbook_delivery WHERE part = 0"
    )
    ended = Counter[Hashable](
        handlers[name].name if name in handlers else name
        for name, state, _ in whole
        if state in states
    )
    verdict.compare(f"deliveries that ended as {', '.join(sorted(states))}", subscribed, ended)
    pairs = Counter[Hashable]((name, event) for name, _, event in whole)
    verdict.compare("deliveries of an event to a handler", Counter(dict.fromkeys(pairs, 1)), pairs)
    if left := world.open():
        verdict.problems.append(f"still open: {left}")
        verdict.lost += len(left)


def check_outside(world: World, verdict: Verdict) -> None:
    """Check that all outside calls happened, and those of one delivery used one key."""
    keys: dict[str, set[str]] = {}
    for call in list(world.outside.calls):
        keys.setdefault(call.subject, set()).add(call.key)
    for subject, used in keys.items():
        if len(used) > 1:
            verdict.doubled += 1
            verdict.problems.append(f"outside: {subject} under {len(used)} keys")
    done = world.rows(
        "SELECT event.subject, event.id::text FROM eventbook_delivery delivery"
        " JOIN eventbook_event event ON event.id = delivery.event_id"
        " WHERE handler = 'probe.call' AND state = 'done'"
    )
    expected = Counter[Hashable](done)
    called = Counter[Hashable]({(subject, key) for subject in keys for key in keys[subject]})
    # A dead letter may have called too, so surplus calls are allowed.
    verdict.compare("calls outside", expected, expected & called)


def effects(world: World) -> Rows:
    """Return the effects that users see, counted by row."""
    return {what: Counter(world.rows(sql)) for what, sql in EFFECTS.items()}


_references: dict[tuple[object, ...], Rows] = {}


def reference(world: World, load: Load) -> Rows:
    """Return the effects of the same operations without a fault; cached by operations."""
    counts = tuple(author.ledger.done for author in load.authors)
    known = (load.seed, tuple(load.kinds), counts)
    if known not in _references:
        world.reset()
        again = Load(world, operations=counts, seed=load.seed, kinds=load.kinds)
        again.run()
        world.wait_recovered(seconds=120)
        _references[known] = effects(world)
    return _references[known]
