"""What other systems see of cards: only what is public when it leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import Visibility
from cards import services
from cards.integration import CardPublished, CardWithdrawn, publish_added, publish_changed
from cards.models import Card
from eventbook.declare.events import Recorded, decode
from eventbook.models import Event
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db


def recorded(*types: str) -> list[Recorded[Any]]:
    """Return the recorded events of these types, as translations get them."""
    return [
        Recorded(
            event.pk,
            event.recorded_at,
            event.priority,
            decode(event.type, event.version, json.dumps(event.data)),
        )
        for event in Event.objects.filter(type__in=types).order_by("id")
    ]


def hide(card: Card) -> None:
    services.update_card(card=card, visibility=Visibility.PRIVATE)


def test_a_public_card_is_published_with_these_fields_and_no_others(alice: Any) -> None:
    card = save(alice, text="A note to myself", title="A page")

    (made,) = publish_added(recorded("card.added")).values()

    assert made == CardPublished(
        card_id=card.pk, card_type="URL", curator="alice", title="A page", url=PAGE
    )


def test_a_private_card_is_not_published(alice: Any) -> None:
    save(alice, private=True)

    assert publish_added(recorded("card.added")) == {}


def test_a_card_that_was_hidden_or_removed_meanwhile_is_not_published(alice: Any) -> None:
    hide(save(alice))
    services.remove_card(card=save(alice, url="https://example.org/removed"))

    assert publish_added(recorded("card.added")) == {}


def test_a_card_of_an_inactive_person_is_not_published(alice: Any) -> None:
    save(alice)
    alice.is_active = False
    alice.save()

    assert publish_added(recorded("card.added")) == {}


def test_a_public_card_that_is_hidden_or_removed_is_withdrawn(alice: Any) -> None:
    hidden, removed = save(alice), save(alice, url="https://example.org/removed")
    ids = [hidden.pk, removed.pk]
    hide(hidden)
    services.remove_card(card=removed)

    made = publish_changed(recorded("card.updated", "card.removed"))

    assert list(made.values()) == [CardWithdrawn(card_id=id) for id in ids]


def test_others_never_learn_of_a_card_that_was_always_private(alice: Any) -> None:
    services.remove_card(card=save(alice, private=True))

    assert publish_changed(recorded("card.removed")) == {}
