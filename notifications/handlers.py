"""The event handlers that write notifications. Each receives a batch of events."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.events import UserFollowed
from accounts.signals import user_followed
from cards.events import CardAdded, CardsImported, CollectionCardAdded
from cards.queries import FEW_FOLLOWERS, split_by_followers
from cards.signals import card_added, cards_imported, collection_card_added
from eventbook import Recorded, Statement, handler
from notifications import services, statements


@handler(
    card_added,
    queue="notifications",
    name="notifications.notify_card_added",
    split=split_by_followers,
    statement=Statement(
        statements.CARD_ADDED_CLAIMED,
        fields={"card_id": "uuid", "curator_id": "bigint", "visibility": "text"},
        small=FEW_FOLLOWERS,
        parameters=statements.KINDS,
    ),
)
def notify_card_added(events: Sequence[Recorded[CardAdded]]) -> None:
    """Notify users who saved the same page before, and followers who enabled notifications."""
    services.notify_of_added_cards(events)


@handler(
    cards_imported,
    queue="notifications",
    name="notifications.notify_imported",
    split=split_by_followers,
)
def notify_imported(events: Sequence[Recorded[CardsImported]]) -> None:
    """Notify followers who enabled notifications of an import, with its number of cards."""
    services.notify_of_imports(events)


@handler(user_followed, queue="notifications", name="notifications.notify_followed")
def notify_followed(events: Sequence[Recorded[UserFollowed]]) -> None:
    """Notify users of their new followers."""
    services.notify_of_follows(events)


@handler(collection_card_added, queue="notifications", name="notifications.notify_collected")
def notify_collected(events: Sequence[Recorded[CollectionCardAdded]]) -> None:
    """Notify curators that another user added their card to a collection."""
    services.notify_of_collected_cards(events)
