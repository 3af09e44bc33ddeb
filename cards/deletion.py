"""Remove the library of a user who is deleted, with the same events as a removal by the user."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from accounts.models import User
from accounts.signals import person_deleting
from cards.models import Card, Collection
from cards.services import remove_card, remove_collection


@receiver(person_deleting, dispatch_uid="cards.deletion")
def remove_library(*, person: User, **_: Any) -> None:
    """Remove a user's collections and cards one by one, so that each removal is an event."""
    for collection in Collection.objects.filter(owner=person).iterator():
        remove_collection(collection=collection)
    for card in Card.objects.filter(curator=person).iterator():
        remove_card(card=card)
