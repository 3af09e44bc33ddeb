"""The event handlers that write notifications. Each receives a batch of events."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.events import UserFollowed
from accounts.signals import user_followed
from cards.events import CardAdded, CardsImported, CollectionCardAdded
from cards.queries import FEW_FOLLOWERS, ranges_of_followers
from cards.signals import card_added, cards_imported, collection_card_added
from eventbook import Recorded, Statement, handler
from notifications import services, statements


@handler(
    card_added,
    queue="notifications",
    name="notifications.notify_card_added",
    split=ranges_of_followers,
    statement=Statement(
        statements.CARD_ADDED_CLAIMED,
        fields={"card_id": "uuid", "curator_id": "bigint", "visibility": "text"},
        small=FEW_FOLLOWERS,
        parameters=statements.REASONS,
    ),
)
def notify_card_added(events: Sequence[Recorded[CardAdded]]) -> None:
    """Notify users who saved the same page before, and followers who enabled notifications."""
    services.notify_of_added_cards(
        event_ids=[recorded.id for recorded in events],
        times=[recorded.time for recorded in events],
        card_ids=[recorded.event.card_id for recorded in events],
        curator_ids=[recorded.event.curator_id for recorded in events],
        visibilities=[recorded.event.visibility for recorded in events],
        recipients=[recorded.keys for recorded in events],
    )


@handler(
    cards_imported,
    queue="notifications",
    name="notifications.notify_imported",
    split=ranges_of_followers,
)
def notify_imported(events: Sequence[Recorded[CardsImported]]) -> None:
    """Notify followers who enabled notifications of an import, with its number of cards."""
    services.notify_of_imports(
        event_ids=[recorded.id for recorded in events],
        times=[recorded.time for recorded in events],
        curator_ids=[recorded.event.curator_id for recorded in events],
        counts=[recorded.event.count for recorded in events],
        recipients=[recorded.keys for recorded in events],
    )


@handler(user_followed, queue="notifications", name="notifications.notify_followed")
def notify_followed(events: Sequence[Recorded[UserFollowed]]) -> None:
    """Notify users of their new followers."""
    services.notify_of_follows(
        event_ids=[recorded.id for recorded in events],
        times=[recorded.time for recorded in events],
        follower_ids=[recorded.event.follower_id for recorded in events],
        followed_ids=[recorded.event.followed_id for recorded in events],
    )


@handler(collection_card_added, queue="notifications", name="notifications.notify_collected")
def notify_collected(events: Sequence[Recorded[CollectionCardAdded]]) -> None:
    """Notify curators that another user added their card to a collection."""
    services.notify_of_collected_cards(
        event_ids=[recorded.id for recorded in events],
        times=[recorded.time for recorded in events],
        collection_ids=[recorded.event.collection_id for recorded in events],
        card_ids=[recorded.event.card_id for recorded in events],
        added_by_ids=[recorded.event.added_by_id for recorded in events],
    )
