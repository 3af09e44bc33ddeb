"""All writes to timelines, except their upkeep (feeds/upkeep.py).

A timeline stores the newest FEED_LENGTH public cards of the curators whom its owner follows.
Curators with more than FAN_OUT_RANGE followers are left out: a read takes their cards from their
libraries. The read also decides which cards are shown (feeds/queries.py), so a surplus entry is
harmless, but a missing entry is a card that never appears.

Handlers run after the commit of their event, so an insertion sees the card. But a race could lose
an entry: an insertion sees the new state, and finds the entry in place; then a deletion that still
saw the old state removes the entry. Two locks prevent this. Handlers of follows lock the `Timeline`
row, and handlers of visibility lock the card. Each lock is a statement of its own, so that the next
statement sees all that was committed before.
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
from eventbook import SMALL_BATCH, KeyRange, database, is_large
from eventbook.stream import reset
from feeds import statements
from feeds.models import Timeline

# The namespace of advisory locks on cards; an arbitrary number that no other code uses.
CARD_LOCKS = 0x6665
READ_PRECISION = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Cards, each with its curator and the range of follower ids to write for."""

    cards: list[UUID]
    curators: list[int]
    followers: list[KeyRange]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the SQL for fan-out and retraction."""
        lowest, highest = KeyRange.covering(self.followers)
        return {
            "cards": self.cards,
            "curators": self.curators,
            "firsts": [keys.first for keys in self.followers],
            "afters": [keys.after for keys in self.followers],
            # As strings: SQL parses the lowest bigint as a minus sign and a number out of range.
            "lowest": str(lowest),
            "highest": str(highest),
        }


def fan_out(batch: Batch) -> None:
    """Add public cards to the timelines of their curators' followers."""
    if written := _without_merged(batch):
        _fan_out(written)


def refresh_cards(batch: Batch) -> None:
    """Add cards that are public now to timelines, and remove cards that are private."""
    lock_cards(batch.cards)
    if written := _without_merged(batch):
        _fan_out(written)
        execute(statements.RETRACT, **written.parameters)


def retract_cards(batch: Batch) -> None:
    """Remove deleted and private cards from the timelines of their curators' followers."""
    if written := _without_merged(batch):
        execute(statements.RETRACT, **written.parameters)


def _fan_out(batch: Batch) -> None:
    few = len(batch.cards) <= SMALL_BATCH
    statement = statements.FAN_OUT_FEW if few else statements.FAN_OUT_MANY
    database.insert_new(statement, batch.parameters, many=is_large(batch.followers))


def _without_merged(batch: Batch) -> Batch | None:
    """Return the batch without curators of more than FAN_OUT_RANGE followers; None if it is empty.

    These curators are recorded as merged (feeds/models.py).
    """
    merged = {id for (id,) in database.execute(statements.MERGE, [sorted({*batch.curators})]).rows}
    if not merged:
        return batch
    rows = zip(batch.cards, batch.curators, batch.followers, strict=True)
    written = [row for row in rows if row[1] not in merged]
    return Batch(*(list(column) for column in zip(*written, strict=True))) if written else None


def backfill(*, follower_ids: Sequence[int], followed_ids: Sequence[int]) -> int:
    """Add the newest public cards of the followed users to the followers' timelines."""
    lock_timelines(follower_ids)
    pairs = (list(follower_ids), list(followed_ids))
    filled = execute(statements.BACKFILL, *pairs, settings.FEED_LENGTH)
    reset("feed", follower_ids)
    return filled


def withdraw(*, follower_ids: Sequence[int], followed_ids: Sequence[int]) -> int:
    """Remove the cards of users who are no longer followed from the timelines."""
    lock_timelines(follower_ids)
    withdrawn = execute(statements.WITHDRAW, list(follower_ids), list(followed_ids))
    reset("feed", follower_ids)
    return withdrawn


def open_timeline(*, owner: User) -> None:
    """Record, to the day, that a user reads the feed.

    Rebuild the timeline first if it is missing, evicted or due for eviction.
    """
    now = timezone.now()
    # Plain SQL: the ORM takes five times as long, and every read of the feed waits for it.
    read_at = [row[0] for row in database.execute(statements.KEPT_SINCE, [owner.pk]).rows]
    if not read_at or read_at[0] < now - timedelta(days=settings.FEED_EVICT_DAYS):
        rebuild_timeline(owner_id=owner.pk)
    elif read_at[0] < now - READ_PRECISION:
        Timeline.objects.filter(owner=owner, evicted_at=None).update(read_at=now)


def rebuild_timeline(*, owner_id: int) -> None:
    """Rebuild a timeline from the present cards and follows.

    This takes two transactions. After the first one, every new fan-out writes to this timeline
    again. Every fan-out that still skipped it had its cards committed before, so the second
    transaction sees these cards. A single transaction would miss cards committed meanwhile. Until
    the second commits, `read_at` is too old: after a crash, the next read rebuilds again.
    """
    execute(statements.ADMIT, owner_id)
    with transaction.atomic():
        lock_timelines([owner_id])
        execute(statements.CLEAR, owner_id)
        execute(statements.FILL, owner_id, settings.FEED_LENGTH)
        kept = Timeline.objects.filter(owner_id=owner_id, evicted_at=None)
        kept.update(read_at=timezone.now())


def lock_timelines(owner_ids: Sequence[int]) -> None:
    """Block changes of these timelines by follows until this transaction ends."""
    execute(statements.CREATE_TIMELINES, list(owner_ids))
    execute(statements.LOCK_TIMELINES, list(owner_ids))


def lock_cards(card_ids: Sequence[UUID]) -> None:
    """Block changes of timelines by these cards' visibility until this transaction ends."""
    execute(statements.LOCK_CARDS, CARD_LOCKS, list(card_ids))


def execute(statement: str, *parameters: Any, **named: Any) -> int:
    """Run one statement and return the number of rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, named or parameters)
        return int(cursor.rowcount)
