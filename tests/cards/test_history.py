"""The state of a library at a moment, from its events, equals the history that was live."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User, Visibility
from cards import history
from cards.models import Card, Collection, CollectionCard
from cards.services import (
    CardDraft,
    add_card_to_collection,
    add_cards,
    remove_card,
    remove_card_from_collection,
    remove_collection,
    update_card,
    update_collection,
)
from eventbook.database.ids import first_id_at, new_id
from eventbook.models import Event
from tests.library import PAGE, collection_of, save

pytestmark = pytest.mark.django_db

Library = tuple[dict[str, Any], dict[str, str]]


def library_now(owner: User) -> Library:
    """Return a library from its tables: cards and collections by id."""
    cards = {
        str(card.pk): (
            card.type,
            card.url.canonical if card.url else None,
            card.visibility,
            {
                str(place.collection_id)
                for place in CollectionCard.objects.filter(card=card, collection__owner=owner)
            },
        )
        for card in Card.objects.filter(curator=owner).select_related("url")
    }
    collections = Collection.objects.filter(owner=owner)
    return cards, {str(row.pk): row.visibility for row in collections}


def library_then(client: APIClient, moment: datetime) -> Library:
    """Return a library from the API, read page by page."""
    cards = {
        card["id"]: (
            card["type"],
            card["canonical_url"],
            card["visibility"],
            set(card["collections"]),
        )
        for card in everything(client, f"/api/v1/cards/history/?page_size=7&{at(moment)}")
    }
    collections = everything(client, f"/api/v1/collections/history/?page_size=2&{at(moment)}")
    return cards, {each["id"]: each["visibility"] for each in collections}


def at(moment: datetime) -> str:
    return f"at={moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def everything(client: APIClient, address: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.json()
        found += answer.json()["results"]
        address = answer.json()["next"]
    return found


def something_happens(dice: random.Random, owner: User) -> None:
    """Make one random change to a library."""
    cards = list(Card.objects.filter(curator=owner))
    collections = list(Collection.objects.filter(owner=owner))
    act = dice.choice(["save", "save", "import", "change", "move", "remove"] + ["place"] * 3
                      + ["displace", "collect", "hide", "dissolve"])  # fmt: skip
    private = dice.random() < 0.5
    visibility = dice.choice(Visibility.values)
    if act == "save" or not cards:
        save(owner, f"{PAGE}/{dice.random()}", private=private)
    elif act == "import":
        places = [each.pk for each in collections[:1]]
        draft = CardDraft(type="URL", url=f"{PAGE}/{dice.random()}", collections=places)
        add_cards(curator=owner, drafts=[draft], import_id=new_id())
    elif act == "change":
        update_card(card=dice.choice(cards), visibility=visibility)
    elif act == "move":
        update_card(card=dice.choice(cards), url=f"{PAGE}/{dice.random()}")
    elif act == "remove":
        remove_card(card=dice.choice(cards))
    elif act == "collect" or not collections:
        collection_of(owner, private=private)
    elif act == "hide":
        update_collection(collection=dice.choice(collections), visibility=visibility)
    elif act == "dissolve":
        remove_collection(collection=dice.choice(collections))
    else:
        collection, card = dice.choice(collections), dice.choice(cards)
        if act == "place":
            add_card_to_collection(collection=collection, card=card, added_by=owner)
        else:
            remove_card_from_collection(collection=collection, card=card, removed_by=owner)


@pytest.mark.parametrize("seed", range(3))
def test_a_library_at_any_moment_equals_what_it_was(alice: User, bob: User, seed: int) -> None:
    dice = random.Random(seed)
    lived = [(timezone.now(), library_now(alice))]
    for _ in range(40):
        time.sleep(0.002)  # A moment is a millisecond long.
        something_happens(dice, alice)
        something_happens(dice, bob)
        lived.append((timezone.now(), library_now(alice)))
    client = APIClient()
    client.force_authenticate(alice)

    for moment, library in lived:
        assert library_then(client, moment) == library
    assert any(places for _, (cards, _) in lived for *_, places in cards.values())


def test_other_peoples_history_is_not_told(alice: User, bob: User) -> None:
    save(alice)
    collection_of(alice)
    client = APIClient()
    client.force_authenticate(bob)

    assert library_then(client, timezone.now()) == ({}, {})
    assert APIClient().get(f"/api/v1/cards/history/?{at(timezone.now())}").status_code == 401


@pytest.mark.parametrize("moment", ["", "?at=", "?at=yesterday", "?at=2026-02-30T00:00:00Z"])
def test_a_moment_that_is_none_is_refused(alice: User, moment: str) -> None:
    client = APIClient()
    client.force_authenticate(alice)

    answer = client.get(f"/api/v1/cards/history/{moment}")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["at"]


@pytest.mark.parametrize("days", [0, 365])
@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z"]
)
def test_moments_far_away_are_moments_too(
    alice: User, monkeypatch: pytest.MonkeyPatch, moment: str, days: int
) -> None:
    monkeypatch.setattr(settings, "KEEP_EVENTS_DAYS", days)
    save(alice)
    client = APIClient()
    client.force_authenticate(alice)

    answer = client.get(f"/api/v1/cards/history/?at={moment}")

    if moment.startswith("9"):
        assert len(answer.json()["results"]) == 1
    elif days:
        assert answer.status_code == 404
    else:
        assert answer.json()["results"] == []


def test_before_what_is_kept_nobody_pretends_to_know(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "KEEP_EVENTS_DAYS", 30)
    client = APIClient()
    client.force_authenticate(alice)

    then, kept = (
        client.get(f"/api/v1/cards/history/?{at(timezone.now() - timedelta(days=days))}")
        for days in (31, 29)
    )

    assert (then.status_code, kept.status_code) == (404, 200)
    assert "30 days" in then.json()["detail"]


def test_events_are_kept_for_a_finite_time_by_default() -> None:
    assert settings.KEEP_EVENTS_DAYS > 0


@pytest.mark.parametrize("seed", range(3, 5))
def test_a_library_is_told_where_older_events_are_deleted(alice: User, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(80):
        something_happens(dice, alice)
    Event.objects.all().delete()
    time.sleep(0.002)
    then, before = timezone.now(), library_now(alice)
    for _ in range(10):
        time.sleep(0.002)
        something_happens(dice, alice)
    client = APIClient()
    client.force_authenticate(alice)

    cards, collections = library_then(client, then)
    after = library_now(alice)

    # What has changed since then may be unknown, but is never told wrong.
    assert cards.keys() == before[0].keys()
    assert collections.keys() == before[1].keys()
    for id, (type_, url, visibility, places) in cards.items():
        was = before[0][id]
        assert type_ in {None, was[0]}
        assert url in {None, was[1]}
        assert visibility in {None, was[2]}
        # With a card or a collection went its places; no event tells of each.
        assert places == (was[3] & after[1].keys() if id in after[0] else set())
    told = [each for each in cards.values() if each[2]]
    assert len(told) > len(cards) / 2
    assert all(collections[id] in {None, was} for id, was in before[1].items())


@pytest.mark.parametrize("ahead", [0, 1])
def test_the_last_change_counts_whichever_clock_was_ahead(
    alice: User, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """Two web machines, of which one gives its events ids of a minute later."""
    card, collection = save(alice), collection_of(alice)
    clocks = [lambda: first_id_at(timezone.now() + timedelta(minutes=1)), new_id]

    for number, visibility in enumerate((Visibility.PRIVATE, Visibility.PUBLIC)):
        monkeypatch.setattr("eventbook.record.outbox.new_id", clocks[number != ahead])
        update_card(card=card, visibility=visibility)
        if visibility == Visibility.PRIVATE:
            add_card_to_collection(collection=collection, card=card, added_by=alice)
        else:
            remove_card_from_collection(collection=collection, card=card, removed_by=alice)
        time.sleep(0.002)

    for moment in (timezone.now(), timezone.now() + timedelta(minutes=5)):
        (then,) = history.cards_at(alice, moment, None, descending=True, limit=10)
        assert (then.visibility, list(then.collections)) == (Visibility.PUBLIC, [])
