"""Files handed in by the API, read and added by real workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from accounts import services as people
from accounts.models import User
from cards.models import Card, Collection
from eventbook.models import Delivery, Event
from feeds.models import TimelineEntry
from imports.models import Import, ImportBatch, ImportFile
from notifications.models import Notification
from tests.feeds.reading import shown
from tests.imports.conftest import ImportFile as Bring
from tests.library import followers_of

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
BOOKMARKS = b"""<!DOCTYPE NETSCAPE-Bookmark-file-1>
<TITLE>Bookmarks</TITLE><H1>Bookmarks</H1>
<DL><p>
    <DT><H3>Databases</H3>
    <DL><p>
        <DT><A HREF="https://www.postgresql.org/docs/" ADD_DATE="1400000000"
            TAGS="sql,manual">Docs</A>
        <DD>All of it &amp; more.
        <DT><H3>Papers</H3>
        <DL><p>
            <DT><A HREF="https://example.org/paper?a=1&amp;b=2" PRIVATE="1">A paper</A>
        </DL><p>
    </DL><p>
    <DT><A HREF="javascript:alert(1)">A bookmarklet</A>
    <DT><A HREF="https://example.org/last">Last</A>
</DL><p>
"""


def test_bookmarks_become_cards_with_folders_tags_notes_dates_and_who_may_see_them(
    alice: User, bring: Bring
) -> None:
    done = bring(alice, BOOKMARKS, name="bookmarks.html", visibility="PUBLIC")

    assert (done["status"], done["format"]) == ("done", "html")
    assert done["counts"] == {
        "read": 4,
        "added": 3,
        "known": 0,
        "merged": 0,
        "failed": 1,
        "warned": 0,
        "waiting": 0,
    }
    docs, paper, last = Card.objects.filter(curator=alice).order_by("id")
    assert (docs.title, docs.text, docs.tags) == ("Docs", "All of it & more.", ["sql", "manual"])
    assert docs.created_at.timestamp() == 1400000000
    assert (paper.link, paper.visibility) == ("https://example.org/paper?a=1&b=2", "PRIVATE")
    assert (last.visibility, last.created_at.year > 2020) == ("PUBLIC", True)
    assert {(c.name, p.card_id) for c in Collection.objects.all() for p in c.places.all()} == {
        ("Databases", docs.pk),
        ("Databases / Papers", paper.pk),
    }
    assert Event.objects.filter(type="collection.card_imported").count() == 2
    # Nobody needs to be told that somebody put their own cards into their own collections.
    assert not Delivery.objects.filter(handler="notifications.notify_collected").exists()


def test_what_is_wrong_is_told_by_line(alice: User, bring: Bring, client_of: Client) -> None:
    done = bring(alice, BOOKMARKS)

    rows = client_of(alice).get(f"/api/v1/imports/{done['id']}/rows/?outcome=failed").json()
    file = client_of(alice).get(f"/api/v1/imports/{done['id']}/errors.csv")

    assert rows["results"] == [
        {
            "line": 14,
            "code": "invalid_url",
            "detail": "Only http and https addresses can be saved.",
            "row": "A bookmarklet",
            "card": None,
        }
    ]
    assert file["Content-Disposition"] == f'attachment; filename="errors-{done["id"]}.csv"'
    assert file.getvalue().decode().splitlines() == [
        "line,code,detail,row",
        "14,invalid_url,Only http and https addresses can be saved.,A bookmarklet",
    ]


def test_the_same_file_twice_adds_nothing(alice: User, bring: Bring) -> None:
    bring(alice, BOOKMARKS)
    events = Event.objects.filter(type__startswith="c").count()

    again = bring(alice, BOOKMARKS)

    assert again["counts"] == {
        "read": 4,
        "added": 0,
        "known": 3,
        "merged": 0,
        "failed": 1,
        "warned": 0,
        "waiting": 0,
    }
    assert Card.objects.count() == 3
    assert Event.objects.filter(type__startswith="c").count() == events


def test_followers_find_all_cards_in_their_feed_and_hear_of_it_once(
    alice: User, bob: User, bring: Bring, client_of: Client
) -> None:
    people.follow(follower=bob, followed=alice, notify=True)
    lines = "\n".join(f"https://example.org/{number}" for number in range(250))

    bring(alice, lines.encode(), visibility="PUBLIC")

    assert TimelineEntry.objects.filter(owner=bob).count() == 250
    (told,) = client_of(bob).get("/api/v1/notifications/").json()["results"]
    assert (told["kind"], told["text"]) == ("IMPORTED", "alice imported 250 cards")
    assert Notification.objects.filter(recipient=bob).count() == 1


def test_a_batch_for_many_followers_is_split_by_what_it_writes(alice: User, bring: Bring) -> None:
    followers = User.objects.bulk_create(
        User(username=f"f{number}", email=f"f{number}@example.org") for number in range(5)
    )
    for person in followers:
        people.follow(follower=person, followed=alice)
    lines = "\n".join(f"https://example.org/{number}" for number in range(settings.FAN_OUT_RANGE))

    bring(alice, lines.encode(), visibility="PUBLIC")

    assert TimelineEntry.objects.count() == 5 * settings.FAN_OUT_RANGE
    parts = Delivery.objects.filter(handler="feeds.fan_out_imported", part__gt=0)
    assert list(parts.values_list("state", flat=True)) == ["done"] * 5


def test_cards_of_whom_very_many_follow_are_written_to_no_timeline(
    alice: User, bring: Bring
) -> None:
    reader, *_ = followers_of(alice, settings.FAN_OUT_RANGE + 1)
    lines = "\n".join(f"https://example.org/{number}" for number in range(250))

    bring(alice, lines.encode(), visibility="PUBLIC")

    assert len(shown(reader)) == 250
    assert TimelineEntry.objects.count() == 0
    assert not Delivery.objects.filter(handler="feeds.fan_out_imported", part__gt=0).exists()


def test_nothing_is_left_of_the_file_when_it_has_been_read(alice: User, bring: Bring) -> None:
    bring(alice, BOOKMARKS)

    assert (ImportFile.objects.count(), ImportBatch.objects.count()) == (0, 0)


def test_a_dry_run_shows_what_would_happen_and_changes_nothing(
    alice: User, bring: Bring, client_of: Client
) -> None:
    client_of(alice).post("/api/v1/cards/", {"type": "URL", "url": "https://example.org/last"})
    table = (
        b"Title,URL,Folder,Tags,Timestamp\n"
        b"One,https://example.org/1,Reading,a|b,1500000000\n"
        b"Two,nothing,,,\n"
    )

    done = bring(alice, table, dry_run="true", visibility="PUBLIC")

    assert (done["status"], done["dry_run"], done["format"]) == ("previewed", True, "csv")
    assert done["counts"] == {
        "read": 2,
        "added": 1,
        "known": 0,
        "merged": 0,
        "failed": 1,
        "warned": 0,
        "waiting": 0,
    }
    assert done["preview"]["columns"] == {
        "url": "url",
        "title": "title",
        "folder": "folder",
        "tags": "tags",
        "added_at": "timestamp",
    }
    assert done["preview"]["rows"][0] == {
        "line": 2,
        "type": "URL",
        "title": "One",
        "url": "https://example.org/1",
        "text": "",
        "tags": ["a", "b"],
        "collections": ["Reading"],
        "visibility": "PUBLIC",
        "created_at": "2017-07-14T02:40:00+00:00",
    }
    assert (Card.objects.count(), Collection.objects.count()) == (1, 0)


def test_wishes_hold_for_all_cards(alice: User, bring: Bring) -> None:
    collection = Collection.objects.create(owner=alice, name="Old things")

    bring(
        alice,
        b"10.1000/182\nhttps://example.org/",
        collection=str(collection.pk),
        visibility="PRIVATE",
    )

    assert {card.link for card in Card.objects.filter(visibility="PRIVATE")} == {
        "https://doi.org/10.1000/182",
        "https://example.org/",
    }
    assert collection.places.count() == 2


def test_what_is_no_known_format_fails_and_says_so(alice: User, bring: Bring) -> None:
    done = bring(alice, b"Dear diary,\ntoday I read a book.\n")

    assert done["status"] == "failed"
    assert done["error"].startswith("unknown_format: This is none of the known formats")
    assert Import.objects.get().finished_at is not None


def test_a_bookmark_in_two_folders_is_one_card_in_two_collections(
    alice: User, bring: Bring
) -> None:
    link = b'<DT><A HREF="https://example.org/">Twice</A>'
    file = b"<DL><DT><H3>A</H3><DL>%s</DL><DT><H3>B</H3><DL>%s</DL></DL>" % (link, link)

    done = bring(alice, file)

    assert (done["counts"]["added"], done["counts"]["merged"]) == (1, 1)
    assert sorted(Card.objects.get().places.values_list("collection__name", flat=True)) == [
        "A",
        "B",
    ]


def test_removed_cards_come_back_when_their_file_is_handed_in_again(
    alice: User, bring: Bring
) -> None:
    bring(alice, b"@book{a, title={One}, author={Alice Munro}, year=1999}")
    Card.objects.all().delete()

    again = bring(alice, b"@book{b, title={One}, author={Alice Munro}, year=1999}")

    assert again["counts"]["added"] == 1
    assert Card.objects.get().reference["author"] == [{"family": "Munro", "given": "Alice"}]
