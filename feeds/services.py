"""Every write of timelines, except for their upkeep (feeds/upkeep.py).

A timeline holds the public cards of those its owner follows, the newest FEED_LENGTH of them; but
not of those whom more than FAN_OUT_RANGE follow, whose cards the read takes from the library. It
only makes reading fast: what may be shown is decided by the read (feeds/queries.py). So an entry
too many is harmless, but one too few is a card that never appears. What is inserted cannot be
missed, since handlers run after the commit that they tell of. What could be missed is an entry
that a deletion, which still saw the old state, takes away after an insertion, which saw the new
one, had found it in place. Hence two locks:
follows change a timeline under the lock of its `Timeline` row, visibility under that of the card.
Each lock is taken by a statement of its own, so that the next one sees what was committed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from events import sql
from events.envelope import FEW, KeyRange, is_large, span
from events.stream import reset
from feeds import statements
from feeds.models import Timeline

# The namespace of our advisory locks on cards; any number that nothing else here uses.
CARD_LOCKS = 0x6665
READ_PRECISION = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Cards, each with its curator and the range of followers that are meant."""

    cards: list[UUID]
    curators: list[int]
    followers: list[KeyRange]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements of fan-out and retraction."""
        lowest, highest = span(self.followers)
        return {
            "cards": self.cards,
            "curators": self.curators,
            "firsts": [keys.first for keys in self.followers],
            "afters": [keys.after for keys in self.followers],
            # As texts: SQL reads the lowest of all numbers as a minus and one that is too large.
            "lowest": str(lowest),
            "highest": str(highest),
        }


def fan_out(batch: Batch) -> None:
    """Put public cards into the timelines of their curators' followers."""
    if written := _without_merged(batch):
        _fan_out(written)


def refresh_cards(batch: Batch) -> None:
    """Put cards into timelines that are public now, and take out those that are private."""
    lock_cards(batch.cards)
    if written := _without_merged(batch):
        _fan_out(written)
        execute(statements.RETRACT, **written.parameters)


def retract_cards(batch: Batch) -> None:
    """Take cards that are gone or private out of their curators' followers' timelines."""
    if written := _without_merged(batch):
        execute(statements.RETRACT, **written.parameters)


def _fan_out(batch: Batch) -> None:
    few = len(batch.cards) <= FEW
    statement = statements.FAN_OUT_FEW if few else statements.FAN_OUT_MANY
    sql.insert_new(statement, batch.parameters, many=is_large(batch.followers))


def _without_merged(batch: Batch) -> Batch | None:
    """Return what is to be written to timelines, if anything is."""
    merged = {id for (id,) in sql.execute(statements.MERGE, [sorted({*batch.curators})]).rows}
    if not merged:
        return batch
    rows = zip(batch.cards, batch.curators, batch.followers, strict=True)
    written = [row for row in rows if row[1] not in merged]
    return Batch(*(list(column) for column in zip(*written, strict=True))) if written else None


def backfill(*, follower_ids: Sequence[int], followed_ids: Sequence[int]) -> int:
    """Put the newest public cards of the followed into the followers' timelines."""
    lock_timelines(follower_ids)
    pairs = (list(follower_ids), list(followed_ids))
    filled = execute(statements.BACKFILL, *pairs, settings.FEED_LENGTH)
    reset("feed", follower_ids)
    return filled


def withdraw(*, follower_ids: Sequence[int], followed_ids: Sequence[int]) -> int:
    """Take the cards of those who are no longer followed out of the timelines."""
    lock_timelines(follower_ids)
    withdrawn = execute(statements.WITHDRAW, list(follower_ids), list(followed_ids))
    reset("feed", follower_ids)
    return withdrawn


def open_timeline(*, owner: User) -> None:
    """Make sure that a reader has a timeline, and notes (to the day) that it was read."""
    now = timezone.now()
    # In SQL of our own: the ORM takes five times as long to ask, and every reader waits for it.
    read_at = [row[0] for row in sql.execute(statements.KEPT_SINCE, [owner.pk]).rows]
    if not read_at or read_at[0] < now - timedelta(days=settings.FEED_EVICT_DAYS):
        rebuild_timeline(owner_id=owner.pk)
    elif read_at[0] < now - READ_PRECISION:
        Timeline.objects.filter(owner=owner, evicted_at=None).update(read_at=now)


def rebuild_timeline(*, owner_id: int) -> None:
    """Fill a timeline anew, from the cards and follows as they are.

    It takes two transactions. Once the first has committed, every fan-out that begins writes to
    this timeline again; every one that still left it out saw its cards committed before, so the
    second sees them too. In a single transaction, a card committed in between would be missed.
    Until the second commits, `read_at` stays too old: a crash between them makes the next read
    rebuild again.
    """
    execute(statements.ADMIT, owner_id)
    with transaction.atomic():
        lock_timelines([owner_id])
        execute(statements.CLEAR, owner_id)
        execute(statements.FILL, owner_id, settings.FEED_LENGTH)
        kept = Timeline.objects.filter(owner_id=owner_id, evicted_at=None)
        kept.update(read_at=timezone.now())


def lock_timelines(owner_ids: Sequence[int]) -> None:
    """Hold, until the transaction ends, changes of these timelines by follows."""
    execute(statements.CREATE_TIMELINES, list(owner_ids))
    execute(statements.LOCK_TIMELINES, list(owner_ids))


def lock_cards(card_ids: Sequence[UUID]) -> None:
    """Hold, until the transaction ends, changes of timelines by these cards' visibility."""
    execute(statements.LOCK_CARDS, CARD_LOCKS, list(card_ids))


def execute(statement: str, *parameters: Any, **named: Any) -> int:
    """Run one statement and return the number of rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, named or parameters)
        return int(cursor.rowcount)
