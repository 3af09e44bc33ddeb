"""Whoever asks whatever, the answer is the same as if nothing private of others existed.

Every operation of the API is asked by everybody twice: before the owner's private things exist,
under the ids that they will have, and after. Not a status, a word or a count may differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as people
from accounts.models import User
from cards.events import CardAdded, CollectionCardAdded
from cards.models import Card, Collection, CollectionCard
from cards.services import add_card, add_card_to_collection, create_collection
from eventbook.database.ids import new_id
from feeds.handlers import fan_out
from imports.models import FeedSubscription, Import, WebFeed
from notifications.handlers import notify_card_added, notify_collected
from pages.models import Metadata, Url
from tests.api.walking import Operation, operations
from tests.conftest import person
from tests.harness.deliveries import recorded
from tests.library import PAGE, save

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
API = "/api/v1/"
SECRET = "unspoken"  # of which nobody else may read
SECRET_PAGE = f"https://{SECRET}.example.org/{SECRET}"
OPERATIONS = list(operations())
EXPORTED_AT = re.compile(rb'"exported_at": "[^"]*"')
OTHERS = ("follower", "stranger", "staff")
NOBODY = ("anonymous", "deactivated")
# What may differ in an answer to a write that succeeds: ids and times that it makes.
MADE = {"id", "created_at", "updated_at", "next_refresh", "token", "expiry"}


@dataclass
class World:
    """The owner's public things, everybody's clients, and the ids of what is to be private."""

    owner: User
    public: Card
    others: Card
    clients: Mapping[str, APIClient]
    card: UUID = field(default_factory=new_id)
    parent: UUID = field(default_factory=new_id)
    collection: UUID = field(default_factory=new_id)
    job: UUID = field(default_factory=new_id)
    subscription: UUID = field(default_factory=new_id)

    @property
    def places(self) -> dict[str, Any]:
        """Return what addresses name."""
        return {
            "card_id": self.card,
            "collection_id": self.collection,
            "id": self.collection,
            "import_id": self.job,
            "subscription_id": self.subscription,
            "username": self.owner.username,
        }


@pytest.fixture
def world(alice: User, bob: User, charlie: User, client_of: Client) -> World:
    staff, away = person("dora"), person("erin")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    people.follow(follower=bob, followed=alice, notify=True)
    people.follow(follower=away, followed=alice, notify=True)
    clients = {
        "owner": client_of(alice),
        "follower": client_of(bob),
        "stranger": client_of(charlie),
        "staff": client_of(staff),
        "anonymous": APIClient(),
        "deactivated": client_of(away),
    }
    User.objects.filter(pk=away.pk).update(is_active=False)
    others, public = save(bob), save(alice)
    return World(alice, public, others, clients)


def make_private_things(world: World) -> None:
    """Make what nobody but the owner may know of, in every way that there is."""
    owner = world.owner
    words: Any = {"title": SECRET, "text": SECRET, "tags": [SECRET]}
    hidden = {"curator": owner, "visibility": "PRIVATE", **words}
    page = Url.objects.create(canonical=SECRET_PAGE, host=f"{SECRET}.example.org")
    Card.objects.create(pk=world.card, type="URL", url=page, link=SECRET_PAGE, **hidden)
    Card.objects.create(pk=world.parent, type="NOTE", **hidden)
    now = timezone.now() - timedelta(hours=1)
    Metadata.objects.create(
        url=page, status="fetched", title=SECRET, requested_at=now, fetched_at=now, expires_at=now
    )
    Collection.objects.create(
        pk=world.collection, owner=owner, name=SECRET, description=SECRET, visibility="PRIVATE"
    )
    for card in (world.card, world.public.pk, world.others.pk):
        CollectionCard.objects.create(collection_id=world.collection, card_id=card, added_by=owner)
    Card.objects.filter(pk=world.public.pk).update(parent=world.parent)
    Import.objects.create(pk=world.job, owner=owner, source_kind="url", source=SECRET_PAGE)
    feed = WebFeed.objects.create(
        url=f"{SECRET_PAGE}/feed", next_refresh=now, refreshed_at=now, requested_at=now,
        failures=3, error=SECRET,
    )  # fmt: skip
    FeedSubscription.objects.create(pk=world.subscription, owner=owner, feed=feed, title=SECRET)
    # By the services too, whose events handlers get.
    add_card(curator=owner, type="URL", url=f"{PAGE}/{SECRET}", visibility="PRIVATE", **words)
    private = create_collection(owner=owner, name=SECRET, visibility="PRIVATE")
    add_card_to_collection(collection=private, card=world.others, added_by=owner)
    handle()


def handle() -> None:
    """Let what has happened reach timelines and notifications, also a second time."""
    fan_out(recorded(CardAdded))
    notify_card_added(recorded(CardAdded))
    notify_collected(recorded(CollectionCardAdded))


def queries_of(operation: Operation, world: World) -> Iterator[dict[str, str]]:
    """Yield parameters: those that are needed, and each that could tell something."""
    yield operation.required
    telling = {
        "collection": str(world.collection),
        "url": SECRET_PAGE,
        "host": f"{SECRET}.example.org",
        "q": SECRET,
        "tag": SECRET,
    }
    for name in telling.keys() & operation.view.query_serializer().fields.keys():
        yield {**operation.required, name: telling[name]}


def bodies_of(operation: Operation, world: World) -> Iterator[dict[str, Any]]:
    """Yield bodies that name what is private wherever a body can name something."""
    note = {"type": "NOTE", "text": "x"}
    named: dict[str, list[dict[str, Any]]] = {
        "cards/": [
            note | {"parent": str(world.parent)},
            note | {"collections": [str(world.collection)]},
            {"type": "URL", "url": SECRET_PAGE},
            {"type": "URL", "url": SECRET_PAGE, "visibility": "PRIVATE"},
        ],
        "cards/bulk/": [{"cards": [note | {"parent": str(world.parent)}]}],
        "imports/": [{"url": PAGE, "collection": str(world.collection)}],
        "subscriptions/": [
            {"url": PAGE, "collection": str(world.collection)},
            {"url": f"{SECRET_PAGE}/feed"},
        ],
        "notifications/mark-read/": [{"all": True}],
        "users/<username:username>/follow/": [{}],
    }
    yield {}
    yield from named.get(operation.route.removeprefix("api/v1/"), [])
    if operation.route.endswith("/cards/") and operation.method == "post":
        yield {"card": str(world.card)}


def answers(world: World, viewer: str) -> dict[str, tuple[int, Any]]:
    """Return the answers that somebody gets to everything that can be asked."""
    client = world.clients[viewer]
    found: dict[str, tuple[int, Any]] = {}
    for operation in OPERATIONS:
        path = operation.path(world.places)
        if operation.method == "get":
            for query in queries_of(operation, world):
                answer = client.get(path, query)
                shown = {name: value for name, value in query.items() if name != "at"}
                found[f"{operation} {shown}"] = answer.status_code, content_of(answer)
        else:
            for body in bodies_of(operation, world):
                found[f"{operation} {body}"] = written(client, operation.method, path, body)
    own = client.get(f"{API}collections/").json().get("results", [])
    for collection in own if viewer != "owner" else []:
        path = f"{API}collections/{collection['id']}/cards/"
        found[f"POST own {path}"] = written(client, "post", path, {"card": str(world.card)})
    return found


def content_of(answer: Any) -> bytes:
    content: bytes = b"".join(answer) if answer.streaming else answer.content
    return EXPORTED_AT.sub(b"", content)


def written(client: APIClient, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Return the answer to a write that is taken back."""
    with transaction.atomic():
        answer = getattr(client, method)(path, body)
        transaction.set_rollback(True)
    said = answer.json() if answer.content else None
    if isinstance(said, dict):
        said = {name: value for name, value in said.items() if name not in MADE}
    return answer.status_code, said


@pytest.fixture
def before(world: World) -> dict[str, dict[str, tuple[int, Any]]]:
    handle()
    for viewer in OTHERS:  # so that each has a timeline
        world.clients[viewer].get(f"{API}feeds/following/")
    return {viewer: answers(world, viewer) for viewer in OTHERS}


def test_nobody_learns_of_what_is_private(
    world: World, before: dict[str, dict[str, tuple[int, Any]]]
) -> None:
    make_private_things(world)

    for viewer in OTHERS:
        after = answers(world, viewer)
        assert len(after) > 60
        told = {what: (before[viewer][what], after[what]) for what in after}
        assert {what: pair for what, pair in told.items() if pair[0] != pair[1]} == {}, viewer
    # To whom it belongs it is told, so that there was something to find.
    owners = answers(world, "owner")
    for what in (
        "GET api/v1/cards/<uuid:card_id>/ {}",
        "GET api/v1/collections/<uuid:collection_id>/cards/ {}",
        "GET api/v1/imports/<uuid:import_id>/ {}",
        "GET api/v1/subscriptions/ {}",
    ):
        status, content = owners[what]
        assert (status, SECRET.encode() in content) == (200, True), what


def test_what_becomes_private_is_to_others_as_if_it_were_removed(
    world: World, before: dict[str, dict[str, tuple[int, Any]]]
) -> None:
    make_private_things(world)
    Card.objects.update(visibility="PUBLIC")
    Collection.objects.update(visibility="PUBLIC")
    handle()
    seen = answers(world, "follower")

    Card.objects.filter(curator=world.owner, text=SECRET).update(visibility="PRIVATE")
    Collection.objects.filter(owner=world.owner).update(visibility="PRIVATE")
    handle()
    after = {viewer: answers(world, viewer) for viewer in OTHERS}

    assert SECRET in str(seen)
    for viewer in OTHERS:
        telling = {what for what, said in after[viewer].items() if said != before[viewer][what]}
        # That a page was saved in public once, its metadata may tell.
        assert {what for what in telling if SECRET_PAGE not in what} == set(), viewer


@pytest.mark.parametrize("viewer", NOBODY)
def test_who_is_not_let_in_is_told_nothing(world: World, viewer: str) -> None:
    make_private_things(world)

    codes = {what: status for what, (status, _) in answers(world, viewer).items()}

    inside = {what: code for what, code in codes.items() if "/auth/" not in what}
    assert set(inside.values()) == {401}
