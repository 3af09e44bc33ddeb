from __future__ import annotations

from collections.abc import Sequence

from accounts.events import UserFollowed, UserUnfollowed
from accounts.signals import user_followed, user_unfollowed
from cards.events import CardAdded, CardRemoved, CardUpdated, ImportBatchAdded
from cards.queries import FEW_FOLLOWERS, ranges_of_batches, ranges_of_followers
from cards.signals import card_added, card_removed, card_updated, import_batch_added
from events.envelope import Recorded
from events.statement import Statement
from events.subscription import handler
from feeds import services, statements


@handler(
    card_added,
    queue="feeds",
    name="feeds.fan_out",
    split=ranges_of_followers,
    statement=Statement(
        statements.FAN_OUT_CLAIMED,
        fields={"card_id": "uuid", "curator_id": "bigint"},
        small=FEW_FOLLOWERS,
    ),
)
def fan_out(events: Sequence[Recorded[CardAdded]]) -> None:
    """This puts new cards into the timelines of their curators' followers."""
    services.fan_out(
        card_ids=[recorded.event.card_id for recorded in events],
        curator_ids=[recorded.event.curator_id for recorded in events],
        followers=[recorded.keys for recorded in events],
    )


@handler(
    import_batch_added,
    queue="feeds",
    name="feeds.fan_out_imported",
    split=ranges_of_batches,
    batch_size=4,
)
def fan_out_imported(events: Sequence[Recorded[ImportBatchAdded]]) -> None:
    """This puts the cards of imports into the timelines of their curators' followers."""
    batch = [(card_id, recorded) for recorded in events for card_id in recorded.event.card_ids]
    services.fan_out(
        card_ids=[card_id for card_id, _ in batch],
        curator_ids=[recorded.event.curator_id for _, recorded in batch],
        followers=[recorded.keys for _, recorded in batch],
    )


@handler(card_updated, queue="feeds", name="feeds.refresh_card", split=ranges_of_followers)
def refresh_card(events: Sequence[Recorded[CardUpdated]]) -> None:
    """This brings timelines up to the cards' present visibility."""
    services.refresh_cards(
        card_ids=[recorded.event.card_id for recorded in events],
        curator_ids=[recorded.event.curator_id for recorded in events],
        followers=[recorded.keys for recorded in events],
    )


@handler(card_removed, queue="feeds", name="feeds.retract_card", split=ranges_of_followers)
def retract_card(events: Sequence[Recorded[CardRemoved]]) -> None:
    """This takes removed cards out of timelines."""
    services.retract_cards(
        card_ids=[recorded.event.card_id for recorded in events],
        curator_ids=[recorded.event.curator_id for recorded in events],
        followers=[recorded.keys for recorded in events],
    )


@handler(user_followed, queue="feeds", name="feeds.backfill")
def backfill(events: Sequence[Recorded[UserFollowed]]) -> None:
    """This puts what the followed added before into the followers' timelines."""
    services.backfill(
        follower_ids=[recorded.event.follower_id for recorded in events],
        followed_ids=[recorded.event.followed_id for recorded in events],
    )


@handler(user_unfollowed, queue="feeds", name="feeds.withdraw")
def withdraw(events: Sequence[Recorded[UserUnfollowed]]) -> None:
    """This takes the cards of those who are no longer followed out of timelines."""
    services.withdraw(
        follower_ids=[recorded.event.follower_id for recorded in events],
        followed_ids=[recorded.event.followed_id for recorded in events],
    )
