"""Bursts: of a handler's events with one key, only some are delivered (declare/bursts.py).

A worker that has claimed deliveries decides, in the same transaction, which of them it runs now,
which wait (as a retry that is charged nothing), and which are *superseded*: done without a run,
since a later event of their burst is delivered instead. A row for each key (eventbook_burst) holds
the burst's waiting delivery; its lock makes workers decide one after another.

Workers wait for locks of bursts only, in one order, and skip locked deliveries: no deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from eventbook.database.statements import execute
from eventbook.declare.bursts import Burst, Debounce, Throttle
from eventbook.declare.handlers import Handler
from eventbook.deliveries.states import Claimed, wake_relay

# The `error` of deliveries that wait, and of superseded ones.
WAITS = "It waits for the end of its burst."
SUPERSEDED = "A later event of its burst is delivered instead."
# The relay polls twice a second, and so learns of later due times by itself.
SOON_SECONDS = 1
LONGEST_KEY = 200  # characters; of longer keys, the digest counts

ENSURE = """
    INSERT INTO eventbook_burst (handler, key) SELECT %s, unnest(%s::text[])
    ON CONFLICT (handler, key) DO NOTHING
"""
LOCK = """
    SELECT key, delivery, began_at, closed_until FROM eventbook_burst
    WHERE handler = %s AND key = ANY(%s) ORDER BY key FOR UPDATE
"""
# This worker's deliveries, and those that wait for the end of their burst, unless it has come.
CAME = """
    SELECT recorded_at, event_id, id, due_at, clock_timestamp() FROM eventbook_delivery
    WHERE id = ANY(%(mine)s) OR (id = ANY(%(waiting)s) AND state = 'retry' AND attempts = 0
                                 AND due_at > clock_timestamp())
    ORDER BY id FOR UPDATE SKIP LOCKED
"""
SUPERSEDE = """
    UPDATE eventbook_delivery
    SET state = 'done', due_at = NULL, finished_at = clock_timestamp(), error = %s
    WHERE id = ANY(%s)
"""
HOLD = """
    UPDATE eventbook_delivery SET state = 'retry', error = %s, due_at = held.due_at
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS held (id, due_at)
    WHERE eventbook_delivery.id = held.id
"""
SAVE = """
    UPDATE eventbook_burst
    SET delivery = new.delivery, began_at = new.began_at, closed_until = new.closed_until,
        changed_at = now()
    FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
         AS new (key, delivery, began_at, closed_until)
    WHERE eventbook_burst.handler = %s AND eventbook_burst.key = new.key
"""
DELETE_IDLE = """
    WITH idle AS (
        SELECT id FROM eventbook_burst
        WHERE changed_at < now() - interval '1 day' AND coalesce(closed_until, 'epoch') < now()
          AND NOT EXISTS (SELECT FROM eventbook_delivery AS waiting
                          WHERE waiting.id = delivery AND due_at IS NOT NULL)
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM eventbook_burst USING idle WHERE eventbook_burst.id = idle.id
"""


class Came(NamedTuple):
    """A delivery, in the order in which events came: a later one is greater."""

    recorded_at: datetime
    event_id: UUID
    id: int
    due_at: datetime | None


@dataclass
class State:
    """One key's burst: its waiting delivery, when its first event came, and the end of a throttle.

    Handlers with Debounce use `began_at`, and those with Throttle `closed_until`.
    """

    key: str
    delivery: int | None
    began_at: datetime | None
    closed_until: datetime | None


@dataclass
class Decision:
    """What becomes of the deliveries of a batch, by their ids; `held` has their due times."""

    now: datetime
    run: set[int] = field(default_factory=set)
    held: dict[int, datetime] = field(default_factory=dict)
    superseded: set[int] = field(default_factory=set)


def admit(handler: Handler, batch: Sequence[Claimed]) -> tuple[Sequence[Claimed], Counter[str]]:
    """Decide which deliveries of a claimed batch run now; return them, and the others by outcome.

    Call this in the transaction of the claim. A delivery without a key, as the key function raises,
    is among those to run; so is a part.
    """
    burst = handler.burst
    if burst is None:
        return batch, Counter()
    whole = [one for one in batch if one.bounds is None]
    keys = {one.id: key for one in whole if (key := _key_of(burst, one)) is not None}
    if not keys:
        return batch, Counter()
    states = _lock(handler.name, sorted(set(keys.values())))
    came, now = _came(list(keys), [state.delivery for state in states if state.delivery])
    decision = Decision(now)
    by_key: dict[str, list[Claimed]] = {}
    for one in batch:
        if one.id in keys:
            by_key.setdefault(keys[one.id], []).append(one)
    for state in states:
        _decide(burst, state, by_key[state.key], came, decision)
    _write(handler, states, decision)
    left = decision.held.keys() | decision.superseded
    mine = [one for one in batch if one.id not in left]
    superseded = sum(one.id in decision.superseded for one in batch)
    return mine, Counter(held=len(batch) - len(mine) - superseded, superseded=superseded)


def delete_idle() -> None:
    """Delete the rows of keys that had no event for a day; `_lock` creates them again."""
    execute(DELETE_IDLE, prepare=False)


def _key_of(burst: Burst, one: Claimed) -> str | None:
    """Return the key of a delivery; None if that raises, as running the delivery will, too."""
    try:
        key = str(burst.key(one.recorded().event))
    except Exception:
        return None
    # An index holds neither long keys nor all characters.
    if len(key) <= LONGEST_KEY and key.isprintable():
        return key
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _lock(handler: str, keys: list[str]) -> list[State]:
    """Lock the rows of these keys until the transaction ends, and return them; create missing ones.

    The loop goes on if `delete_idle` deleted a row between the two statements.
    """
    rows: list[tuple[str, int | None, datetime | None, datetime | None]] = []
    while len(rows) < len(keys):
        execute(ENSURE, [handler, keys])
        rows = execute(LOCK, [handler, keys]).rows
    return [State(*row) for row in rows]


def _came(mine: list[int], waiting: list[int]) -> tuple[dict[int, Came], datetime]:
    """Return this worker's deliveries and the waiting ones by id, and PostgreSQL's time."""
    rows = execute(CAME, {"mine": mine, "waiting": waiting}).rows
    return {row[2]: Came(*row[:4]) for row in rows}, rows[0][4]


def _decide(
    burst: Burst,
    state: State,
    mine: Sequence[Claimed],
    came: Mapping[int, Came],
    decision: Decision,
) -> None:
    """Decide on this worker's deliveries of one key, and change the burst's state."""
    waiting = came.get(state.delivery or 0)
    if waiting and any(one.id == waiting.id for one in mine):
        waiting = None
    # Some were admitted before, and then failed or met a rate limit. Others have waited for their
    # time, which has come.
    retries = {one.id for one in mine if one.attempts or one.was_rate_limited}
    others = [one for one in mine if one.id not in retries]
    fresh = [came[one.id] for one in others if one.since_ready >= one.age]
    rested = [came[one.id] for one in others if one.since_ready < one.age]
    decision.run |= retries
    if isinstance(burst, Throttle):
        if retries:
            state.closed_until = decision.now + timedelta(seconds=burst.seconds)
        _throttle(burst, state, fresh, rested, waiting, decision)
    else:
        decision.run |= {each.id for each in rested}
        _debounce(burst, state, fresh, waiting, decision)
    if state.delivery in decision.run:
        state.delivery = None


def _debounce(
    burst: Debounce, state: State, fresh: list[Came], waiting: Came | None, decision: Decision
) -> None:
    """Let the newest event wait for the end of the burst, instead of the one that waited before."""
    if not fresh:
        return
    newest = _supersede(fresh, waiting, decision)
    if newest is waiting:
        return
    if waiting is None or state.began_at is None:
        state.began_at = min(fresh).recorded_at
    # From now, not from when the event came: so a burst ends no sooner for workers that are late.
    due_at = decision.now + timedelta(seconds=burst.seconds)
    if burst.longest is not None:
        due_at = min(due_at, state.began_at + timedelta(seconds=burst.longest))
    if due_at <= decision.now:
        decision.run.add(newest.id)
    else:
        decision.held[newest.id] = due_at
        state.delivery = newest.id


def _throttle(
    burst: Throttle,
    state: State,
    fresh: list[Came],
    rested: list[Came],
    waiting: Came | None,
    decision: Decision,
) -> None:
    """Run the newest event if none has run for `seconds`, or let it wait until then.

    An event whose time has come isn't superseded by one that waits for its own time: otherwise a
    steady stream would let none through.
    """
    mine = [*fresh, *rested]
    if not mine:
        return
    pause_end = decision.now + timedelta(seconds=burst.seconds)
    is_open = state.closed_until is None or state.closed_until <= decision.now
    # The burst's delivery neither waits nor has run: another worker is about to run it.
    is_ahead = state.delivery and not waiting and state.delivery not in {one.id for one in mine}
    if is_open and (rested or not (waiting or is_ahead)):
        newest = _supersede(mine, waiting if waiting and waiting < max(mine) else None, decision)
        decision.run.add(newest.id)
        state.closed_until = pause_end
        if waiting and waiting > newest:
            decision.held[waiting.id] = pause_end
        else:
            state.delivery = None
        return
    newest = _supersede(mine, waiting, decision)
    if newest is not waiting:
        later = waiting.due_at if waiting and waiting.due_at else pause_end
        decision.held[newest.id] = later if is_open else state.closed_until or pause_end
        state.delivery = newest.id


def _supersede(candidates: Iterable[Came], waiting: Came | None, decision: Decision) -> Came:
    """Return the event that came last, after all others were superseded."""
    *earlier, newest = sorted([*candidates, *([waiting] if waiting else [])])
    decision.superseded |= {each.id for each in earlier}
    return newest


def _write(handler: Handler, states: Sequence[State], decision: Decision) -> None:
    """Write the decision and the bursts' states; wake the relay if a wait ends soon."""
    if decision.superseded:
        execute(SUPERSEDE, [SUPERSEDED, list(decision.superseded)])
    if decision.held:
        execute(HOLD, [WAITS, list(decision.held), list(decision.held.values())])
        wake_relay(min(decision.held.values()), within=SOON_SECONDS)
    columns = [
        [state.key for state in states],
        [state.delivery for state in states],
        [state.began_at for state in states],
        [state.closed_until for state in states],
    ]
    execute(SAVE, [*columns, handler.name])
