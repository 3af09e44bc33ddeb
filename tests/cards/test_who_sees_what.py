"""What others may see depends on nothing private, and on nobody who is not active."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts import services as people
from accounts.models import User
from accounts.queries import profiles
from cards.models import Card, Collection
from cards.services import add_card, create_collection, update_card
from feeds.streams import load_cards
from tests.conftest import Drain
from tests.harness.plans import entries_read
from tests.library import CROWD, PAGE, collection_of, save

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
API = "/api/v1/"


def ids(client: APIClient, path: str) -> list[str]:
    answer = client.get(API + path)
    return [each["id"] for each in answer.json()["results"]] if answer.status_code == 200 else []


# -- People who are not active ------------------------------------------------------------------


def seen_of_bob(client: APIClient, card: Card, collection: Collection) -> dict[str, Any]:
    """Return all that alice finds of what bob did."""
    profile = client.get(f"{API}users/alice/").json()
    places = {
        "global": "feeds/global/",
        "following": "feeds/following/",
        "user": "feeds/users/bob/",
        "in bob's collection": f"feeds/collections/{collection.pk}/",
        "about the page": f"cards/about/?url={PAGE}",
        "same page": f"cards/{card.pk}/same-page/",
        "places": f"collections/{collection.pk}/cards/",
        "notifications": "notifications/",
    }
    found: dict[str, Any] = {name: len(ids(client, path)) for name, path in places.items()}
    for name in ("followers", "following"):
        listed = client.get(f"{API}users/alice/{name}/").json()["results"]
        found[name] = len(listed)
        found[f"{name}_count"] = profile[f"{name}_count"]
    found["unread"] = client.get(f"{API}notifications/unread-count/").json()["count"]
    found["exported"] = b"bob's words" in b"".join(
        client.get(f"{API}exports/?format=json&collection={collection.pk}")
    )
    for name, path in {
        "card": f"cards/{card.pk}/",
        "collection": f"collections/{collection.pk}/",
        "profile": "users/bob/",
    }.items():
        found[name] = client.get(API + path).status_code
    return found


@pytest.mark.django_db(transaction=True)
def test_who_is_deactivated_goes_from_everywhere_and_comes_back(
    alice: User, bob: User, client_of: Client, drain: Drain
) -> None:
    people.follow(follower=alice, followed=bob, notify=True)
    people.follow(follower=bob, followed=alice)
    client = client_of(alice)
    save(alice)
    collection = collection_of(bob)
    card = save(bob, text="bob's words", collections=[collection.pk])
    client.get(f"{API}feeds/following/")
    drain()
    before = seen_of_bob(client, card, collection)

    User.objects.filter(pk=bob.pk).update(is_active=False)
    away = seen_of_bob(client, card, collection)
    User.objects.filter(pk=bob.pk).update(is_active=True)
    after = seen_of_bob(client, card, collection)

    assert all(before.values()), before
    assert away == {
        **dict.fromkeys(before, 0),
        "global": 1,  # alice's own
        "about the page": 1,
        "exported": False,
        **dict.fromkeys(("card", "collection", "profile"), 404),
    }
    assert after == before


def test_a_card_of_whom_very_many_follow_goes_too(
    alice: User, bob: User, client_of: Client
) -> None:
    people.follow(follower=alice, followed=bob)
    card = save(bob)
    client = client_of(alice)
    client.get(f"{API}feeds/following/")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO feeds_mergedcurator VALUES (%s, now())", [bob.pk])

    before = ids(client, "feeds/following/")
    User.objects.filter(pk=bob.pk).update(is_active=False)

    assert before == [str(card.pk)]
    assert ids(client, "feeds/following/") == []


def test_the_stream_tells_nothing_of_who_is_not_active(alice: User, bob: User) -> None:
    people.follow(follower=alice, followed=bob)
    card = save(bob)
    pair = (alice.pk, card.pk)

    before = load_cards({pair})
    User.objects.filter(pk=bob.pk).update(is_active=False)

    assert set(before) == {pair}
    assert load_cards({pair}) == {}


@pytest.mark.usefixtures("no_deleted_rows")
def test_a_profile_reads_only_those_who_are_not_active(alice: User, bob: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CROWD, [3000, alice.pk])
        User.objects.filter(username="fan7").update(is_active=False)
        cursor.execute("ANALYZE accounts_follow, accounts_user")

        before = entries_read("accounts_user")
        profile = profiles(viewer=bob).get(pk=alice.pk)

        assert profile.followers_count == 2999  # type: ignore[attr-defined]
        assert entries_read("accounts_user") - before < 100


# -- Parents ------------------------------------------------------------------------------------


def test_a_private_parent_is_known_below_cards_of_its_curator_to_its_curator(
    alice: User, bob: User, client_of: Client
) -> None:
    parent = save(alice)
    own, _ = add_card(curator=alice, type="NOTE", text="own", parent=parent.pk)
    others, _ = add_card(curator=bob, type="NOTE", text="other", parent=parent.pk)
    collection = create_collection(owner=alice, name="Reading")
    for client in map(client_of, (alice, bob)):
        assert parents(client, own, collection) == {str(parent.pk)}
    add_card(curator=alice, type="NOTE", text="x", parent=parent.pk, collections=[collection.pk])

    update_card(card=parent, visibility="PRIVATE")

    assert parents(client_of(alice), own, collection) == {str(parent.pk)}
    assert parents(client_of(bob), own, collection) == {None}
    for client in map(client_of, (alice, bob)):
        assert client.get(f"{API}cards/{others.pk}/").json()["parent"] is None


def parents(client: APIClient, card: Card, collection: Collection) -> set[str | None]:
    """Return what is said of a card's parent, wherever its curator's notes are shown."""
    path = f"{API}exports/?format=json&collection={collection.pk}"
    exported = b"".join(client.get(path)).decode()
    found = [client.get(f"{API}cards/{card.pk}/").json()]
    for path in (
        f"collections/{collection.pk}/cards/",
        f"feeds/users/{card.curator.username}/",
        f"feeds/collections/{collection.pk}/",
    ):
        found += client.get(API + path).json()["results"]
    said: set[str | None] = {each["parent"] for each in found if each["type"] == "NOTE"}
    public = said & {str(card.parent_id)}
    assert bool(public) or str(card.parent_id) not in exported
    return public or said


# -- Collections --------------------------------------------------------------------------------


def test_a_filter_by_a_hidden_collection_is_answered_as_one_by_none(
    alice: User, bob: User, client_of: Client
) -> None:
    card = save(alice)
    hidden = collection_of(bob)
    bob_client = client_of(bob)
    bob_client.post(f"{API}collections/{hidden.pk}/cards/", {"card": str(card.pk)})
    before = ids(client_of(alice), f"cards/?collection={hidden.pk}")
    Collection.objects.update(visibility="PRIVATE")

    there, nowhere = (
        client_of(alice).get(f"{API}cards/?collection={id}")
        for id in (hidden.pk, "01890000-0000-7000-8000-000000000000")
    )

    assert before == [str(card.pk)]
    assert (there.status_code, there.json()) == (nowhere.status_code, nowhere.json())
    assert there.status_code == 400


# -- Imports ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "asked", "expected"),
    [
        ("", {}, "PRIVATE"),
        ("PRIVATE", {}, "PRIVATE"),
        ("PUBLIC", {}, "PUBLIC"),
        ("PUBLIC", {"visibility": "PRIVATE"}, "PRIVATE"),
        ("PRIVATE", {"visibility": "PUBLIC"}, "PUBLIC"),
    ],
)
def test_what_is_imported_is_as_its_owner_wants(
    alice: User, client_of: Client, setting: str, asked: dict[str, str], expected: str
) -> None:
    from imports.files.items import Item
    from imports.jobs import reading
    from imports.jobs.adding import add_items
    from imports.models import Import

    client = client_of(alice)
    if setting:
        answer = client.patch(f"{API}users/me/", {"import_visibility": setting})
        assert answer.json()["import_visibility"] == setting
    job = client.post(f"{API}imports/", {"url": "https://example.org/list", **asked}).json()
    subscribed = client.post(f"{API}subscriptions/", {"url": "https://example.org/feed", **asked})
    begun = reading.begin(job["id"])
    assert isinstance(begun, Import)

    def item(number: int, private: bool | None) -> Item:
        return Item(line=number, guid=f"{number}", url=f"{PAGE}/{number}", private=private)

    add_items(begun, [item(1, None), item(2, True), item(3, False)])

    silent, private, public = Card.objects.order_by("link").values_list("visibility", flat=True)
    assert (silent, private) == (expected, "PRIVATE")
    assert public == asked.get("visibility", "PUBLIC")
    assert subscribed.json()["visibility"] == expected
