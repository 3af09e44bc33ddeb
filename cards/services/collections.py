"""Create, change and remove collections, and add and remove their cards."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import User, Visibility
from cards.events import (
    CollectionCardRemoved,
    CollectionCreated,
    CollectionRemoved,
    CollectionUpdated,
)
from cards.models import Card, Collection, CollectionCard
from cards.queries import visible_cards
from cards.services import rules
from cards.services.places import place
from cards.signals import (
    collection_card_removed,
    collection_created,
    collection_removed,
    collection_updated,
)

CHANGEABLE = ("name", "description", "visibility")
REMOVE_PLACE = """
    DELETE FROM cards_collectioncard WHERE collection_id = %s AND card_id = %s RETURNING 1
"""


def create_collection(
    *, owner: User, name: str, description: str = "", visibility: str = Visibility.PUBLIC
) -> Collection:
    """Create an empty collection, and record the event."""
    with transaction.atomic():
        collection = Collection.objects.create(
            owner=owner, name=name, description=description, visibility=visibility
        )
        event = CollectionCreated(
            collection_id=collection.pk, owner_id=owner.pk, visibility=visibility
        )
        collection_created.send(sender=Collection, event=event)
    return collection


def update_collection(*, collection: Collection, **changes: Any) -> Collection:
    """Change the `name`, `description` or `visibility` of a collection, and return it.

    Raise Collection.DoesNotExist if it has been removed meanwhile. If nothing changes, no event is
    recorded.
    """
    if unknown := set(changes) - set(CHANGEABLE):
        raise TypeError(f"A collection's {', '.join(sorted(unknown))} cannot be changed.")
    with transaction.atomic():
        rows = Collection.objects.select_related("owner").select_for_update(of=("self",))
        collection = rows.get(pk=collection.pk)
        if all(getattr(collection, name) == value for name, value in changes.items()):
            return collection
        for name, value in changes.items():
            setattr(collection, name, value)
        collection.updated_at = timezone.now()
        collection.save(force_update=True)
        event = CollectionUpdated(
            collection_id=collection.pk,
            owner_id=collection.owner_id,
            visibility=collection.visibility,
        )
        collection_updated.send(sender=Collection, event=event)
    return collection


def remove_collection(*, collection: Collection) -> bool:
    """Remove a collection but not its cards; return whether it still existed."""
    with transaction.atomic():
        # Without this lock, two removals at once would both record an event.
        locked = Collection.objects.select_for_update().filter(pk=collection.pk).first()
        if locked is None:
            return False
        event = CollectionRemoved(collection_id=locked.pk, owner_id=locked.owner_id)
        locked.delete()
        collection_removed.send(sender=Collection, event=event)
    return True


def add_card_to_collection(*, collection: Collection, card: Card, added_by: User) -> bool:
    """Add a card to a collection; return whether it is new there.

    Raise ValidationError if the user cannot see the card, or the collection is another user's.
    """
    if collection.owner_id != added_by.pk:
        unknown = rules.error("collection", rules.UNKNOWN_COLLECTION, "does_not_exist")
        raise ValidationError(dict(unknown))
    with transaction.atomic():
        if not visible_cards(added_by).filter(pk=card.pk).exists():
            raise ValidationError(dict(rules.error("card", rules.UNKNOWN_CARD, "does_not_exist")))
        return bool(place([(collection.pk, card.pk)], added_by=added_by))


def remove_card_from_collection(*, collection: Collection, card: Card, removed_by: User) -> bool:
    """Remove a card from a collection; return whether it was there."""
    event = CollectionCardRemoved(
        collection_id=collection.pk, card_id=card.pk, removed_by_id=removed_by.pk
    )
    place = [collection.pk, card.pk]
    removed = collection_card_removed.send_with(
        REMOVE_PLACE, place, sender=CollectionCard, event=event
    )
    return bool(removed)
