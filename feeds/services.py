"""All writes to timelines, except their upkeep (feeds/tasks.py).

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
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.events import UserFollowed, UserUnfollowed
from accounts.models import User
from eventbook import KeyRange, insert_batch
from eventbook.database import execute
from eventbook.stream import reset
from feeds import statements
from feeds.models import Timeline

# The namespace of advisory locks on cards; an arbitrary number that no other code uses.
CARD_LOCKS = 0x6665
# Reads of a feed within this time are recorded once.
READ_PRECISION = timedelta(days=1)


class FanOut(NamedTuple):
    """A card whose fan-out changes the timelines of those followers whose ids are in a range."""

    card_id: UUID
    curator_id: int
    followers: KeyRange


def fan_out(batch: Sequence[FanOut]) -> None:
    """Add public cards to the timelines of their curators' followers."""
    _add(_without_merged(batch))


def refresh_cards(batch: Sequence[FanOut]) -> None:
    """Add cards that are public now to timelines, and remove cards that are private."""
    lock_cards([each.card_id for each in batch])
    written = _without_merged(batch)
    _add(written)
    _retract(written)


def retract_cards(batch: Sequence[FanOut]) -> None:
    """Remove deleted and private cards from the timelines of their curators' followers."""
    _retract(_without_merged(batch))


def _add(batch: Sequence[FanOut]) -> None:
    """Add the public cards of a batch to timelines."""
    if batch:
        ranges = [each.followers for each in batch]
        few, many = statements.FAN_OUT_FEW, statements.FAN_OUT_MANY
        insert_batch(_parameters(batch), ranges, few=few, many=many)


def _retract(batch: Sequence[FanOut]) -> None:
    """Remove the batch's cards that are not public from timelines."""
    if batch:
        execute(statements.RETRACT, _parameters(batch), prepare=False)


def _parameters(batch: Sequence[FanOut]) -> dict[str, Any]:
    """Return the SQL parameters for a batch: an array for each field."""
    return {
        "cards": [each.card_id for each in batch],
        "curators": [each.curator_id for each in batch],
    } | KeyRange.parameters([each.followers for each in batch])


def _without_merged(batch: Sequence[FanOut]) -> Sequence[FanOut]:
    """Return the batch without curators of more than FAN_OUT_RANGE followers.

    These curators are recorded as merged (feeds/models.py).
    """
    curators = sorted({each.curator_id for each in batch})
    merged = {id for (id,) in execute(statements.MERGE, [curators]).rows}
    return [each for each in batch if each.curator_id not in merged] if merged else batch


def backfill(follows: Sequence[UserFollowed]) -> int:
    """Add the followed users' newest public cards to the followers' timelines; return how many."""
    follower_ids, followed_ids = _columns(follows)
    lock_timelines(follower_ids)
    parameters = [follower_ids, followed_ids, settings.FEED_LENGTH]
    filled = execute(statements.BACKFILL, parameters, prepare=False).count
    reset("feed", follower_ids)
    return filled


def withdraw(unfollows: Sequence[UserUnfollowed]) -> int:
    """Remove the cards of users who are no longer followed from timelines; return how many."""
    follower_ids, followed_ids = _columns(unfollows)
    lock_timelines(follower_ids)
    parameters = [follower_ids, followed_ids]
    withdrawn = execute(statements.WITHDRAW, parameters, prepare=False).count
    reset("feed", follower_ids)
    return withdrawn


def _columns(follows: Sequence[UserFollowed | UserUnfollowed]) -> tuple[list[int], list[int]]:
    """Return the ids of the followers, and those of the followed users."""
    return [each.follower_id for each in follows], [each.followed_id for each in follows]


def open_timeline(*, owner: User) -> None:
    """Record, to the day, that a user reads the feed.

    Rebuild the timeline first if it is missing, evicted or due for eviction.
    """
    now = timezone.now()
    # Plain SQL: the ORM takes five times as long, and every read of the feed waits for it.
    rows = execute(statements.KEPT_SINCE, [owner.pk]).rows
    is_kept = bool(rows) and rows[0][0] >= now - timedelta(days=settings.FEED_EVICT_DAYS)
    if is_kept and rows[0][0] < now - READ_PRECISION:
        kept = Timeline.objects.filter(owner=owner, evicted_at=None)
        is_kept = bool(kept.update(read_at=now))  # false if it has just been evicted
    if not is_kept:
        rebuild_timeline(owner_id=owner.pk)


def rebuild_timeline(*, owner_id: int) -> None:
    """Rebuild a timeline from the present cards and follows.

    This takes two transactions. After the first one, every new fan-out writes to this timeline
    again. Every fan-out that still skipped it had its cards committed before, so the second
    transaction sees these cards. A single transaction would miss cards committed meanwhile. Until
    the second commits, `read_at` is too old: after a crash, the next read rebuilds again.
    """
    execute(statements.ADMIT, [owner_id], prepare=False)
    with transaction.atomic():
        lock_timelines([owner_id])
        execute(statements.CLEAR, [owner_id], prepare=False)
        execute(statements.FILL, [owner_id, settings.FEED_LENGTH], prepare=False)
        kept = Timeline.objects.filter(owner_id=owner_id, evicted_at=None)
        kept.update(read_at=timezone.now())


def lock_timelines(owner_ids: Sequence[int]) -> None:
    """Block other handlers of follows on these timelines until this transaction ends."""
    execute(statements.CREATE_TIMELINES, [list(owner_ids)], prepare=False)
    execute(statements.LOCK_TIMELINES, [list(owner_ids)], prepare=False)


def lock_cards(card_ids: Sequence[UUID]) -> None:
    """Block other handlers of these cards' visibility until this transaction ends."""
    execute(statements.LOCK_CARDS, [CARD_LOCKS, list(card_ids)], prepare=False)
