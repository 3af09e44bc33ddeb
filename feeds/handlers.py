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
from feeds.queries import split_imported
from feeds.services import FanOut


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
    services.fan_out(_fan_outs(events))


@handler(
    import_batch_added,
    queue="feeds",
    name="feeds.fan_out_imported",
    split=split_imported,
    batch_size=4,
)
def fan_out_imported(events: Sequence[Recorded[ImportBatchAdded]]) -> None:
    """Add imported cards to the timelines of their curators' followers."""
    services.fan_out(
        [
            FanOut(card_id, recorded.event.curator_id, recorded.keys)
            for recorded in events
            for card_id in recorded.event.card_ids
        ]
    )


@handler(card_updated, queue="feeds", name="feeds.refresh_card")
def refresh_card(events: Sequence[Recorded[CardUpdated]]) -> None:
    """Add changed cards to timelines if they are public now, and remove them if private."""
    services.refresh_cards(_fan_outs(events))


@handler(card_removed, queue="feeds", name="feeds.retract_card")
def retract_card(events: Sequence[Recorded[CardRemoved]]) -> None:
    """Remove deleted cards from timelines."""
    services.retract_cards(_fan_outs(events))


def _fan_outs(events: Sequence[Recorded[CardAdded | CardUpdated | CardRemoved]]) -> list[FanOut]:
    return [
        FanOut(recorded.event.card_id, recorded.event.curator_id, recorded.keys)
        for recorded in events
    ]


@handler(user_followed, queue="feeds", name="feeds.backfill")
def backfill(events: Sequence[Recorded[UserFollowed]]) -> None:
    """Add the followed users' earlier cards to the timelines of their new followers."""
    services.backfill([recorded.event for recorded in events])


@handler(user_unfollowed, queue="feeds", name="feeds.withdraw")
def withdraw(events: Sequence[Recorded[UserUnfollowed]]) -> None:
    """Remove the cards of users who are no longer followed from the timelines."""
    services.withdraw([recorded.event for recorded in events])
