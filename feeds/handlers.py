"""The event handlers that keep timelines up to date. Each receives a batch of events."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.events import UserFollowed, UserUnfollowed
from accounts.signals import user_followed, user_unfollowed
from cards.events import CardAdded, CardRemoved, CardUpdated, ImportBatchAdded
from cards.queries import FEW_FOLLOWERS
from cards.signals import card_added, card_removed, card_updated, import_batch_added
from eventbook import Recorded, Statement, handler
from feeds import services, statements
from feeds.queries import ranges_of_batches


@handler(
    card_added,
    queue="feeds",
    name="feeds.fan_out",
    statement=Statement(
        statements.FAN_OUT_CLAIMED,
        fields={"card_id": "uuid", "curator_id": "bigint"},
        small=FEW_FOLLOWERS,
    ),
)
def fan_out(events: Sequence[Recorded[CardAdded]]) -> None:
    """Add new cards to the timelines of their curators' followers."""
    services.fan_out(_batch(events))


@handler(
    import_batch_added,
    queue="feeds",
    name="feeds.fan_out_imported",
    split=ranges_of_batches,
    batch_size=4,
)
def fan_out_imported(events: Sequence[Recorded[ImportBatchAdded]]) -> None:
    """Add imported cards to the timelines of their curators' followers."""
    rows = [(card_id, recorded) for recorded in events for card_id in recorded.event.card_ids]
    services.fan_out(
        services.Batch(
            [card_id for card_id, _ in rows],
            [recorded.event.curator_id for _, recorded in rows],
            [recorded.keys for _, recorded in rows],
        )
    )


@handler(card_updated, queue="feeds", name="feeds.refresh_card")
def refresh_card(events: Sequence[Recorded[CardUpdated]]) -> None:
    """Add changed cards to timelines if they are public now, and remove them if private."""
    services.refresh_cards(_batch(events))


@handler(card_removed, queue="feeds", name="feeds.retract_card")
def retract_card(events: Sequence[Recorded[CardRemoved]]) -> None:
    """Remove deleted cards from timelines."""
    services.retract_cards(_batch(events))


def _batch(events: Sequence[Recorded[CardAdded | CardUpdated | CardRemoved]]) -> services.Batch:
    return services.Batch(
        [recorded.event.card_id for recorded in events],
        [recorded.event.curator_id for recorded in events],
        [recorded.keys for recorded in events],
    )


@handler(user_followed, queue="feeds", name="feeds.backfill")
def backfill(events: Sequence[Recorded[UserFollowed]]) -> None:
    """Add the followed users' earlier cards to the timelines of their new followers."""
    services.backfill(
        follower_ids=[recorded.event.follower_id for recorded in events],
        followed_ids=[recorded.event.followed_id for recorded in events],
    )


@handler(user_unfollowed, queue="feeds", name="feeds.withdraw")
def withdraw(events: Sequence[Recorded[UserUnfollowed]]) -> None:
    """Remove the cards of users who are no longer followed from the timelines."""
    services.withdraw(
        follower_ids=[recorded.event.follower_id for recorded in events],
        followed_ids=[recorded.event.followed_id for recorded in events],
    )
