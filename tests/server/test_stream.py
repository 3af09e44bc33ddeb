"""The live stream on real processes: what is new arrives, once, and with whom it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from knox.models import AuthToken

from accounts import services as people
from accounts.models import User, Visibility
from cards import services
from eventbook.database.ids import first_id_at, new_id
from feeds.models import MergedCurator
from tests.conftest import Drain
from tests.harness.processes import environment, wait_for
from tests.harness.web import PATH, Client, WebProcess, idle
from tests.library import followers_of, notify, save, save_many, token_of
from tests.pages.metadata import web as webs
from tests.pages.metadata.web import Web
from tests.server.conftest import Listen, api

pytestmark = pytest.mark.django_db(transaction=True)
INSERT = """
    INSERT INTO notifications_notification (recipient_id, event_id, kind, actor_id, created_at)
    VALUES (%s, %s, 'IMPORTED', %s, now())
"""
BOOKMARKS = b"<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p>" + b"".join(
    b'<DT><A HREF="https://example.org/%d">%d</A>' % (n, n) for n in range(250)
)


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    variables = {"STREAMS_PER_PERSON": "320", "STREAMS_PER_PROCESS": "325"}
    running = WebProcess(tmp_path_factory.mktemp("stream") / "web.log", **variables)
    yield running
    running.stop()


@contextmanager
def second_connection() -> Iterator[psycopg.Connection]:
    with psycopg.connect(environment()["DATABASE_URL"]) as other:
        yield other


def test_notifications_and_the_feed_arrive_as_their_pages_show_them(
    listen: Listen, web: WebProcess, alice: User, bob: User, drain: Drain
) -> None:
    people.follow(follower=alice, followed=bob, notify=True)
    drain()
    of_alice, of_bob = listen(alice), listen(bob)

    card = save(bob)
    drain()

    (notification,) = of_alice.wait("notification")
    (fed,) = of_alice.wait("feed")
    assert notification.pop("unread_count") == 1
    assert [notification] == api(web, alice, "notifications/")["results"]
    assert [fed] == api(web, alice, "feeds/following/")["results"]
    assert fed["id"] == str(card.pk)
    assert of_bob.events == []


def test_cards_that_are_in_no_timeline_are_told_once(
    listen: Listen, web: WebProcess, alice: User, bob: User, charlie: User, drain: Drain
) -> None:
    people.follow(follower=alice, followed=bob)
    drain()
    followers_of(bob, settings.FAN_OUT_RANGE)
    save(bob)
    drain()
    assert MergedCurator.objects.exists()
    of_alice, of_charlie = listen(alice), listen(charlie)
    first, second = save_many(bob, 2)
    private = save(bob, "https://example.org/private", private=True)
    of_alice.wait("feed", 2)
    of_alice.kill()
    third, fourth = (save(bob, f"https://example.org/{n}") for n in range(2))
    again = listen(alice, of_alice.last_id)
    again.wait("feed", 2)

    services.update_card(card=private, visibility=Visibility.PUBLIC)

    (shown,) = again.wait("feed", 3)[2:]
    assert shown == api(web, alice, f"cards/{private.pk}/")
    assert [each["id"] for each in of_alice.of("feed")] == [str(first.pk), str(second.pk)]
    assert [each["id"] for each in again.of("feed")[:2]] == [str(third.pk), str(fourth.pk)]
    assert of_charlie.events == []


def test_an_import_is_seen_going_on(
    listen: Listen, web: WebProcess, alice: User, bob: User, drain: Drain
) -> None:
    of_alice, of_bob = listen(alice), listen(bob)

    accepted = api(web, alice, "imports/", method="POST", files={"file": BOOKMARKS})
    of_alice.wait("import")
    drain(60)

    wait_for(lambda: of_alice.of("import")[-1]["status"] == "done", seconds=5, what="it is done")
    told = of_alice.of("import")
    assert told[0]["status"] == "queued"
    assert told[-1] == api(web, alice, f"imports/{accepted['id']}/")
    assert told[-1]["counts"]["added"] == 250
    added = [each["counts"]["added"] for each in told]
    assert added == sorted(added)
    assert of_bob.events == []


def test_a_card_fills_in_for_its_curator_alone(
    listen: Listen, web: WebProcess, alice: User, bob: User, drain: Drain, settings: Any
) -> None:
    settings.FETCH_METADATA = True
    people.follow(follower=bob, followed=alice)
    drain()
    of_alice, of_bob = listen(alice), listen(bob)

    with webs.running() as site:
        card = save(alice, pages(site), private=True)
        drain()
        (told,) = of_alice.wait("card")

    shown = api(web, alice, f"cards/{card.pk}/")
    assert told["metadata"]["title"] == shown["metadata"]["title"] == "On streams"
    assert (told["id"], told["url"]) == (str(card.pk), card.link)
    assert of_bob.events == []


def pages(site: Web) -> str:
    return site.has("/paper", "<title>On streams</title>")


def test_nobody_is_told_what_is_private_or_no_longer_theirs_to_see(
    listen: Listen, alice: User, bob: User, charlie: User, drain: Drain
) -> None:
    people.follow(follower=alice, followed=bob, notify=True)
    private, unfollowed = save(bob, private=True), save(charlie)
    drain()
    of_alice = listen(alice)
    with second_connection() as other:
        # Rows that a fan-out leaves if it ran just before the card became private, or unfollowing.
        entry = "INSERT INTO feeds_timelineentry (owner_id, card_id, author_id) VALUES (%s, %s, %s)"
        other.execute(entry, [alice.pk, private.pk, bob.pk])
        other.execute(entry, [alice.pk, unfollowed.pk, charlie.pk])
        other.execute(
            INSERT.replace("actor_id,", "actor_id, card_id,").replace("%s, now()", "%s, %s, now()"),
            [alice.pk, new_id(), bob.pk, private.pk],
        )
    (marker,) = notify(alice, bob)
    of_alice.wait("notification")

    shown = save(bob, "https://example.org/public")
    drain()

    assert [each["id"] for each in of_alice.wait("feed")] == [str(shown.pk)]
    first, second = of_alice.wait("notification", 2)
    assert (first["id"], second["card"]["id"]) == (marker, str(shown.pk))
    assert [first["unread_count"], second["unread_count"]] == [1, 2]
    assert of_alice.of("reset") == []


def test_after_a_break_exactly_what_was_missed_comes(
    listen: Listen, alice: User, bob: User
) -> None:
    first = listen(alice)
    seen = notify(alice, bob, 3)
    first.wait("notification", 3)
    first.kill()

    missed = notify(alice, bob, 2)
    second = listen(alice, first.last_id)
    later = notify(alice, bob)

    told = [each["id"] for each in second.wait("notification", 3)]
    assert [each["id"] for each in first.of("notification")] == seen
    assert told == [*missed, *later]
    assert second.of("reset") == []


def test_a_break_in_the_middle_of_a_burst_costs_nothing(
    listen: Listen, alice: User, bob: User
) -> None:
    first = listen(alice)
    ids = notify(alice, bob, 5)
    first.wait("notification", 5)
    middle = first.events[1]

    second = listen(alice, middle.id)

    assert [each["id"] for each in second.wait("notification", 3)] == ids[2:]


def test_what_commits_late_is_not_passed_over(listen: Listen, alice: User, bob: User) -> None:
    client = listen(alice)
    keys = [str(new_id()), str(new_id())]
    with second_connection() as one, second_connection() as two:
        for other, key in ((one, keys[0]), (two, keys[1])):
            other.execute(INSERT, [alice.pk, key, bob.pk])
        seen = notify(alice, bob)
        client.wait("notification")
        # And over a break: what the client knows says what it was not told.
        client.kill()
        client = listen(alice, client.last_id)
        seen += notify(alice, bob)
        client.wait("notification")
        one.commit()
        client.wait("notification", 2)
        seen += notify(alice, bob)
        client.wait("notification", 3)
        two.commit()

    told = [each["id"] for each in client.wait("notification", 4)]
    assert told == [seen[1], keys[0], seen[2], keys[1]]


def test_a_delivery_that_comes_an_hour_late_is_told(listen: Listen, alice: User, bob: User) -> None:
    client = listen(alice)
    old = first_id_at(timezone.now() - timedelta(hours=1))

    with second_connection() as other:
        other.execute(INSERT, [alice.pk, old, bob.pk])

    assert client.wait("notification")[0]["id"] == str(old)


def test_more_than_a_stream_tells_is_a_reset(listen: Listen, alice: User, bob: User) -> None:
    client = listen(alice)

    notify(alice, bob, 60)

    assert client.wait("reset") == [{"events": ["notification"]}]
    assert client.of("notification") == []
    (next_one,) = notify(alice, bob)
    (told,) = client.wait("notification")
    assert (told["id"], told["unread_count"]) == (next_one, 61)


@pytest.mark.parametrize("given", ["nonsense", "1-1-", "ffffffffffff-ffffffff-", "x" * 4000])
def test_an_id_from_which_nothing_can_be_told_is_a_reset(
    given: str, listen: Listen, alice: User, bob: User
) -> None:
    notify(alice, bob)

    client = listen(alice, given)

    assert client.wait("reset") == [{"events": ["card", "feed", "import", "notification"]}]
    assert client.of("notification") == []


def test_a_stream_ends_soon_after_its_token(listen: Listen, web: WebProcess, alice: User) -> None:
    revoked, expired, kept = listen(alice), listen(alice), listen(alice)

    answer = httpx.post(
        f"{web.url}/api/v1/auth/logout/", headers={"Authorization": f"Token {revoked.token}"}
    )
    assert answer.status_code == 204
    AuthToken.objects.filter(token_key=expired.token[:15]).update(expiry=timezone.now())

    wait_for(lambda: revoked.ended and expired.ended, seconds=8, what="both streams have ended")
    assert not kept.ended


def test_who_may_not_stream_is_told_why(web: WebProcess, alice: User, bob: User) -> None:
    answers = [
        httpx.get(web.url + PATH),
        httpx.get(web.url + PATH, headers={"Authorization": "Token nobody's"}),
        httpx.post(web.url + PATH, headers={"Authorization": f"Token {token_of(alice)}"}),
    ]
    token = token_of(alice)
    with idle(web, token, 320):
        too_many = httpx.get(web.url + PATH, headers={"Authorization": f"Token {token}"})
        with idle(web, token_of(bob), 5):
            full = httpx.get(web.url + PATH, headers={"Authorization": f"Token {token_of(bob)}"})

    assert [answer.status_code for answer in answers] == [401, 401, 405]
    assert (too_many.status_code, full.status_code) == (429, 503)
    for answer in (*answers, too_many, full):
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(too_many.headers["Retry-After"]) > 0
    assert int(full.headers["Retry-After"]) > 0

    def has_room() -> bool:
        with httpx.stream(
            "GET", web.url + PATH, headers={"Authorization": f"Token {token}"}
        ) as one:
            return one.status_code == 200

    wait_for(has_room, seconds=10, what="who went away has left room")


def test_idle_streams_cost_one_thread_and_no_connection(web: WebProcess, alice: User) -> None:
    token = token_of(alice)
    with Client(web, token):
        threads = web.worker.num_threads()
        before = sessions()
    with idle(web, token, 300):
        answered = httpx.get(
            f"{web.url}/api/v1/cards/", headers={"Authorization": f"Token {token}"}
        )

        assert answered.status_code == 200
        assert web.worker.num_threads() <= threads + 1
        assert sessions() <= before
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
        assert cursor.fetchone() == (0,)


def sessions() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
