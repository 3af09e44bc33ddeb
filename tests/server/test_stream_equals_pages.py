"""What a client read once, and what its stream told it since, equal what it would read now."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from accounts import services as people
from accounts.models import User, Visibility
from cards.events import ImportBatchAdded
from cards.models import Card, Collection
from cards.services import (
    CardDraft,
    add_card_to_collection,
    add_cards,
    remove_card,
    remove_collection,
    update_card,
    update_collection,
)
from cards.signals import import_batch_added
from imports.jobs.completion import complete
from imports.models import Import
from notifications.models import Notification
from notifications.services import mark_read
from tests.conftest import Drain
from tests.harness.processes import DeadlinePassed, wait_for
from tests.harness.web import Client, WebProcess
from tests.library import PAGE, collection_of, followers_of, save
from tests.server.conftest import Listen, api

pytestmark = pytest.mark.django_db(transaction=True)

PAGE_SIZE = 200
FEED = f"feeds/following/?page_size={PAGE_SIZE}"
TOLD = f"notifications/?page_size={PAGE_SIZE}"


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    running = WebProcess(tmp_path_factory.mktemp("stream") / "web.log")
    yield running
    running.stop()


class Reader:
    """A client that reads the pages once, and after that only what its stream tells it to."""

    def __init__(self, web: WebProcess, user: User, stream: Client) -> None:
        self.web, self.user, self.stream = web, user, stream
        self.taken = self.resets = 0
        self.feed, self.told, self.unread = self.fresh()

    def fresh(self) -> tuple[list[Any], list[Any], int]:
        """Return the pages as they are now."""
        feed = api(self.web, self.user, FEED)["results"]
        told = api(self.web, self.user, TOLD)["results"]
        return feed, told, api(self.web, self.user, "notifications/unread-count/")["count"]

    def follow(self) -> None:
        """Take what the stream has told since."""
        events = list(self.stream.events)[self.taken :]
        self.taken += len(events)
        for event in events:
            if event.kind == "feed":
                self.feed = placed(self.feed, event.data)
            elif event.kind == "notification":
                self.unread = event.data["unread_count"]
                row = {name: value for name, value in event.data.items() if name != "unread_count"}
                self.told = placed(self.told, row)
            elif event.kind == "reset":
                self.resets += 1
                self._reset(event.data["events"])

    def _reset(self, kinds: list[str]) -> None:
        feed, told, unread = self.fresh()
        if "feed" in kinds:
            self.feed = feed
        if "notification" in kinds:
            self.told, self.unread = told, unread

    def is_up_to_date(self) -> bool:
        """Return whether it shows what it would read now."""
        self.follow()
        return (self.feed, self.told, self.unread) == self.fresh()


def placed(page: list[Any], row: Any) -> list[Any]:
    """Put a row into a page, in its place, instead of the one that had its id."""
    rows = [each for each in page if each["id"] != row["id"]] + [row]
    return sorted(rows, key=lambda each: str(each["id"]), reverse=True)[:PAGE_SIZE]


@pytest.fixture
def reader(web: WebProcess, listen: Listen, alice: User, drain: Drain) -> Callable[[], Reader]:
    """Open Alice's stream, and read her pages."""

    def reader() -> Reader:
        drain()
        api(web, alice, FEED)  # the first read of a feed fills it
        return Reader(web, alice, listen(alice))

    return reader


def settles(reader: Reader) -> None:
    try:
        wait_for(reader.is_up_to_date, seconds=8, what="the client shows what it would read now")
    except DeadlinePassed as error:
        feed, told, unread = reader.fresh()
        shown = [(each["id"], each["title"]) for each in reader.feed]
        now = [(each["id"], each["title"]) for each in feed]
        raise DeadlinePassed(
            f"{error}\nfeed: {set(shown) ^ set(now)}\ntold: {reader.told != told},"
            f" {reader.unread} unread of {unread}\n{[event.kind for event in reader.stream.events]}"
        ) from error


def bring(curator: User, count: int) -> None:
    """Add public cards as a batch of an import does."""
    job = Import.objects.create(owner=curator, source_kind="upload", status=Import.Status.RUNNING)
    drafts = [CardDraft(type="NOTE", title=f"{curator} {n}", text="t") for n in range(count)]
    with transaction.atomic():
        outcomes = add_cards(curator=curator, drafts=drafts, import_id=job.pk)
        ids = tuple(outcome.card.pk for outcome in outcomes)  # type: ignore[union-attr]
        event = ImportBatchAdded(import_id=job.pk, curator_id=curator.pk, card_ids=ids)
        import_batch_added.send(sender=Import, event=event)
        complete(job)


def notes(curator: User, count: int) -> None:
    drafts = [CardDraft(type="NOTE", title=f"{curator} {n}", text="t") for n in range(count)]
    add_cards(curator=curator, drafts=drafts)


def test_a_backfill_that_is_older_than_what_is_told_row_by_row(
    reader: Callable[[], Reader], alice: User, bob: User, charlie: User, drain: Drain
) -> None:
    notes(bob, 30)
    notes(charlie, 60)
    people.follow(follower=alice, followed=charlie)
    client = reader()

    people.follow(follower=alice, followed=bob)
    drain()
    settles(client)

    assert (len(client.feed), client.resets) == (90, 1)


def test_a_private_card_that_changes_is_told_to_nobody(
    reader: Callable[[], Reader], alice: User, bob: User, drain: Drain
) -> None:
    people.follow(follower=alice, followed=bob, notify=True)
    hidden = save(bob, f"{PAGE}/hidden", private=True)
    public = save(bob, f"{PAGE}/public")
    client = reader()

    update_card(card=hidden, title="changed")
    remove_card(card=hidden)
    update_card(card=public, title="new")
    drain()
    wait_for(lambda: client.stream.of("feed"), seconds=5, what="the other card is told")
    settles(client)

    assert [each["title"] for each in client.stream.of("feed")] == ["new"]
    assert client.stream.of("reset") == [{"events": ["notification"]}]  # of the other card


def test_a_curator_whom_very_many_follow(
    reader: Callable[[], Reader], alice: User, bob: User, drain: Drain
) -> None:
    followers_of(bob, settings.FAN_OUT_RANGE)
    notes(bob, 60)
    client = reader()

    people.follow(follower=alice, followed=bob)
    drain()
    settles(client)
    assert len(client.feed) == 60
    oldest, *_, newest = Card.objects.filter(curator=bob).order_by("id")
    update_card(card=oldest, visibility=Visibility.PRIVATE)
    settles(client)
    update_card(card=oldest, visibility=Visibility.PUBLIC)
    settles(client)
    remove_card(card=newest)
    settles(client)
    people.unfollow(follower=alice, followed=bob)
    drain()
    settles(client)

    assert client.feed == []


def something_happens(chance: random.Random, alice: User, others: list[User]) -> str:
    """Let somebody do something at random that changes what Alice reads; return what."""
    act = chance.choice(ACTS)
    other = chance.choice(others)
    act(chance, alice, other)
    return act.__name__


def saves(chance: random.Random, alice: User, other: User) -> None:
    save(other, f"{PAGE}/{chance.randrange(20)}", private=chance.random() < 0.2)


def alice_saves(chance: random.Random, alice: User, other: User) -> None:
    save(alice, f"{PAGE}/{chance.randrange(20)}")


def changes(chance: random.Random, alice: User, other: User) -> None:
    if cards := list(Card.objects.filter(curator=other)):
        card = chance.choice(cards)
        update_card(card=card, title=str(chance.random()))


def hides_or_shows(chance: random.Random, alice: User, other: User) -> None:
    if cards := list(Card.objects.filter(curator=other)):
        update_card(card=chance.choice(cards), visibility=chance.choice(Visibility.values))


def removes(chance: random.Random, alice: User, other: User) -> None:
    if cards := list(Card.objects.filter(curator=other)):
        remove_card(card=chance.choice(cards))


def follows(chance: random.Random, alice: User, other: User) -> None:
    people.follow(follower=alice, followed=other, notify=chance.random() < 0.7)


def unfollows(chance: random.Random, alice: User, other: User) -> None:
    people.unfollow(follower=alice, followed=other)


def imports(chance: random.Random, alice: User, other: User) -> None:
    bring(other, chance.choice([3, 60]))


def collects(chance: random.Random, alice: User, other: User) -> None:
    if cards := list(Card.objects.filter(curator=alice)):
        collection = collection_of(other)
        add_card_to_collection(collection=collection, card=chance.choice(cards), added_by=other)


def changes_a_collection(chance: random.Random, alice: User, other: User) -> None:
    if collections := list(Collection.objects.filter(owner=other)):
        collection = chance.choice(collections)
        if chance.random() < 0.3:
            remove_collection(collection=collection)
        else:
            visibility = chance.choice(Visibility.values)
            update_collection(
                collection=collection, name=str(chance.random()), visibility=visibility
            )


def alice_removes(chance: random.Random, alice: User, other: User) -> None:
    if cards := list(Card.objects.filter(curator=alice)):
        remove_card(card=chance.choice(cards))


def reads(chance: random.Random, alice: User, other: User) -> None:
    ids = list(Notification.objects.filter(recipient=alice).values_list("event_id", flat=True))
    if ids and chance.random() < 0.7:
        mark_read(recipient=alice, ids=[chance.choice(ids)])
    else:
        mark_read(recipient=alice)


def rebuilds(chance: random.Random, alice: User, other: User) -> None:
    call_command("rebuild_feeds", "--user", "alice", stdout=StringIO())


ACTS = [
    saves, saves, alice_saves, changes, hides_or_shows, removes, follows, follows, unfollows,
    imports, collects, changes_a_collection, alice_removes, reads, rebuilds,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens(
    reader: Callable[[], Reader], alice: User, bob: User, charlie: User, drain: Drain, seed: int
) -> None:
    chance = random.Random(seed)
    for other in (bob, charlie):
        people.follow(follower=alice, followed=other, notify=True)
    client = reader()

    for _ in range(15):
        done = something_happens(chance, alice, [bob, charlie])
        drain()
        try:
            settles(client)
        except DeadlinePassed as error:
            raise DeadlinePassed(f"after {done}: {error}") from error

    assert client.stream.of("feed")
    assert client.stream.of("notification")
