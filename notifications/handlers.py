"""The event handlers that write notifications. Each receives a batch of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounts.events import UserFollowed
from accounts.signals import user_followed
from cards.events import CardAdded, CardsImported, CollectionCardAdded
from cards.queries import FEW_FOLLOWERS, split_by_followers
from cards.signals import card_added, cards_imported, collection_card_added
from eventbook import KeyRange, Recorded, Statement, handler, insert_batch
from eventbook.database import execute
from notifications import statements
from notifications.models import Kind


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
    ranges = [recorded.keys for recorded in events]
    parameters = (
        _columns(events)
        | KeyRange.parameters(ranges)
        | statements.KINDS
        | {
            "cards": [recorded.event.card_id for recorded in events],
            "curators": [recorded.event.curator_id for recorded in events],
            "visibilities": [recorded.event.visibility for recorded in events],
        }
    )
    few, many = statements.CARD_ADDED_FEW, statements.CARD_ADDED_MANY
    insert_batch(parameters, ranges, few=few, many=many)


@handler(
    cards_imported,
    queue="notifications",
    name="notifications.notify_imported",
    split=split_by_followers,
)
def notify_imported(events: Sequence[Recorded[CardsImported]]) -> None:
    """Notify followers who enabled notifications of an import, with its number of cards."""
    parameters = (
        _columns(events)
        | KeyRange.parameters([recorded.keys for recorded in events])
        | {
            "kind": Kind.IMPORTED.value,
            "curators": [recorded.event.curator_id for recorded in events],
            "counts": [recorded.event.count for recorded in events],
        }
    )
    execute(statements.IMPORTED, parameters, prepare=False)


@handler(user_followed, queue="notifications", name="notifications.notify_followed")
def notify_followed(events: Sequence[Recorded[UserFollowed]]) -> None:
    """Notify users of new followers, once per pair, and the new followers of cards added meanwhile.

    A card added since the follow may have been delivered before its handler could see the follow.
    The new follower is notified of that card here, if notifications are enabled.
    """
    pairs = {
        "followers": [recorded.event.follower_id for recorded in events],
        "followed": [recorded.event.followed_id for recorded in events],
    }
    followed = _columns(events) | pairs | {"kind": Kind.FOLLOWED.value}
    added = pairs | {"kind": Kind.CARD_ADDED.value}
    execute(statements.FOLLOWED, followed, prepare=False)
    execute(statements.ADDED_MEANWHILE, added, prepare=False)


@handler(collection_card_added, queue="notifications", name="notifications.notify_collected")
def notify_collected(events: Sequence[Recorded[CollectionCardAdded]]) -> None:
    """Notify curators whose cards other users added to public collections."""
    parameters = _columns(events) | {
        "kind": Kind.COLLECTED.value,
        "collections": [recorded.event.collection_id for recorded in events],
        "cards": [recorded.event.card_id for recorded in events],
        "added_by": [recorded.event.added_by_id for recorded in events],
    }
    execute(statements.COLLECTED, parameters, prepare=False)


def _columns(events: Sequence[Recorded[Any]]) -> dict[str, Any]:
    """Return the SQL parameters that every kind of notification needs."""
    return {
        "events": [recorded.id for recorded in events],
        "times": [recorded.time for recorded in events],
    }
