"""What is recorded of pages, kept of their answers, and shown with cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards.models import Card
from cards.services import CardDraft, add_card, add_cards, create_collection, update_card
from eventbook.models import Event, OutboxEntry, RateGroup
from eventbook.record.outbox import Priority
from eventbook.work.execution import Later
from outside.errors import ErrorStatus, FetchFailed, Unreachable
from pages.metadata import robots, services, validity
from pages.metadata.refreshing import refresh
from pages.models import Metadata, Robots, Url
from tests.pages.metadata.web import Web

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = "https://example.org/page"


@contextmanager
def statements(count: list[int]) -> Iterator[None]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        yield
    count.append(len(captured))


def page_events() -> list[dict[str, Any]]:
    return list(Event.objects.filter(type__startswith="page.").values_list("data", flat=True))


def test_a_page_is_told_of_once_whoever_adds_it_and_however(
    web: Web, alice: User, bob: User
) -> None:
    note, _ = add_card(curator=alice, type="REFERENCE", title="A reference")

    add_card(curator=alice, type="URL", url=f"{PAGE}#1")
    add_card(curator=bob, type="URL", url=PAGE)
    add_cards(curator=bob, drafts=[CardDraft(type="URL", url=f"{PAGE}/{n}") for n in range(3)])
    update_card(card=note, url=f"{PAGE}/3")
    update_card(card=note, url=f"{PAGE}/1")

    pages = Url.objects.order_by("pk")
    assert page_events() == [{"url_id": page.pk, "host": "example.org"} for page in pages]
    assert pages.count() == 5
    lanes = OutboxEntry.objects.filter(type="page.added").order_by("event_id")
    bulk, interactive = Priority.BULK, Priority.INTERACTIVE
    assert list(lanes.values_list("priority", flat=True)) == [interactive, *[bulk] * 3, interactive]


def test_where_pages_are_not_fetched_nothing_is_told_and_cards_say_so(
    alice: User, client_of: Client
) -> None:
    card, _ = add_card(curator=alice, type="URL", url=PAGE)
    note, _ = add_card(curator=alice, type="NOTE", text="note")
    client = client_of(alice)

    shown = [client.get(f"/api/v1/cards/{each.pk}/").json() for each in (card, note)]

    assert page_events() == []
    assert (shown[0]["metadata"]["status"], shown[0]["display_title"]) == ("off", PAGE)
    assert (shown[1]["metadata"], shown[1]["display_title"]) == (None, "")


def test_telling_of_pages_takes_no_statement_more(web: Web, alice: User, settings: Any) -> None:
    counts: list[int] = []
    add_card(curator=alice, type="URL", url=PAGE)
    for number, fetched in enumerate((False, True)):
        settings.FETCH_METADATA = fetched
        with statements(counts):
            add_card(curator=alice, type="URL", url=f"{PAGE}/{number}")
        with statements(counts):
            add_cards(
                curator=alice,
                drafts=[CardDraft(type="URL", url=f"{PAGE}/{number}/{n}") for n in range(20)],
            )

    assert counts[:2] == counts[2:]


def test_no_list_asks_for_the_metadata_of_each_card(
    web: Web, alice: User, bob: User, client_of: Client
) -> None:
    collection = create_collection(owner=alice, name="Reading")
    client = client_of(alice)
    card = add_card(curator=alice, type="URL", url=PAGE, collections=[collection.pk])[0]
    paths = (
        *("cards/", f"cards/about/?url={PAGE}", f"cards/{card.pk}/same-page/"),
        *(f"collections/{collection.pk}/cards/", f"feeds/collections/{collection.pk}/"),
        *("feeds/global/", "feeds/users/alice/", "feeds/following/"),
    )
    before: list[int] = []
    after: list[int] = []
    for path in paths:
        client.get(f"/api/v1/{path}")  # opens the timeline
        with statements(before):
            client.get(f"/api/v1/{path}")

    drafts = [
        CardDraft(type="URL", url=f"{PAGE}/{n}", collections=[collection.pk]) for n in range(10)
    ]
    add_cards(curator=alice, drafts=drafts)
    add_card(curator=bob, type="URL", url=PAGE)
    for url in Url.objects.all()[:5]:
        Metadata.objects.create(url=url, title="A title", status="fetched", expires_at=NOW)
    for path in paths:
        with statements(after):
            found = client.get(f"/api/v1/{path}").json()["results"]
        assert all(each["metadata"]["status"] in {"pending", "fetched"} for each in found)

    assert after == before


def test_a_card_that_is_added_or_changed_asks_for_nothing_to_be_shown(
    web: Web, alice: User, bob: User, client_of: Client
) -> None:
    add_card(curator=bob, type="URL", url=PAGE)
    Url.objects.update(public_since=NOW)
    Metadata.objects.create(
        url=Url.objects.get(),
        title="A title",
        page_fields={"title": "A title"},
        status="fetched",
        fetched_at=NOW,
        expires_at=NOW,
    )
    client, body = client_of(alice), {"type": "URL", "url": PAGE}
    with CaptureQueriesContext(connection) as captured:
        shown = client.post("/api/v1/cards/", body).json()

    assert (shown["display_title"], shown["metadata"]["title"]) == ("A title", "A title")
    assert shown["metadata"]["fetched_at"] == "2026-01-01T00:00:00Z"
    assert not [each for each in captured if str(each["sql"]).startswith('SELECT "pages_metadata"')]


def test_an_old_answer_never_takes_the_place_of_a_newer_one(web: Web) -> None:
    page = saved(web, "/page", "<title>New</title>")
    assert services.fetch_page(url_id=page.pk) == "fetched"
    asked = Metadata.objects.get()
    web.has("/page", "<title>Old</title>")
    Metadata.objects.update(requested_at=timezone.now() + timedelta(minutes=1))

    assert services.fetch_page(url_id=page.pk) == "outdated"

    assert Metadata.objects.get().title == asked.title == "New"


def test_a_page_that_does_not_answer_is_left_alone_for_longer_and_longer(web: Web) -> None:
    page = saved(web, "/page", "", status=500)
    waits = []
    for _ in range(9):
        try:
            services.fetch_page(url_id=page.pk)
        except Later:
            continue
        known = Metadata.objects.get()
        assert known.requested_at
        waits.append((known.expires_at - known.requested_at).days)

    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert (known.status, known.error_code, known.failures) == ("failed", "answered", 9)


def test_a_server_is_waited_for_as_long_as_it_asks_within_reason(web: Web) -> None:
    page = saved(web, "/page", "", status=429, Retry_After="7")
    other = saved(web, "/other", "", status=503, Retry_After="99999999")

    with pytest.raises(Later) as later:
        services.fetch_page(url_id=page.pk)
    with pytest.raises(Later) as much_later:
        services.fetch_page(url_id=other.pk)

    assert (later.value.seconds, much_later.value.seconds) == (7, services.MAX_RETRY_AFTER)
    assert set(Metadata.objects.values_list("status", flat=True)) == {"pending"}


def test_pages_that_were_saved_while_none_were_fetched_are_asked_for_too(
    alice: User, settings: Any
) -> None:
    old, _ = add_card(curator=alice, type="URL", url=PAGE)
    add_card(curator=alice, type="URL", url=f"{PAGE}/new")
    assert old.url_id
    Url.objects.filter(pk=old.url_id).update(created_at=timezone.now() - timedelta(days=2))

    assert refresh() == {}
    settings.FETCH_METADATA = True
    assert [refresh(), refresh()] == [
        {"expired": 0, "unknown": 1},
        {"expired": 0, "unknown": 0},
    ]

    assert page_events() == [{"url_id": old.url_id, "host": "example.org"}]


def test_what_many_saved_is_asked_again_first_and_what_nobody_keeps_is_put_off(
    web: Web, alice: User, bob: User, settings: Any
) -> None:
    settings.FETCH_AGAIN_PER_HOUR = 1
    cards = [add_card(curator=alice, type="URL", url=f"{PAGE}/{n}")[0] for n in range(3)]
    popular, _ = add_card(curator=bob, type="URL", url=f"{PAGE}/1")
    Card.objects.filter(pk=cards[2].pk).delete()
    for n, url in enumerate(Url.objects.order_by("pk")):
        Metadata.objects.create(url=url, expires_at=NOW + timedelta(hours=n))
    Event.objects.all().delete()

    assert [refresh()["expired"] for _ in range(3)] == [1, 1, 0]

    assert [event["url_id"] for event in page_events()] == [popular.url_id, cards[0].url_id]
    assert Metadata.objects.filter(expires_at__gt=timezone.now() + timedelta(days=29)).count() == 1


@pytest.mark.parametrize(
    ("headers", "days"),
    [
        ({}, 30),
        ({"Cache-Control": "max-age=60"}, 30),
        ({"Cache-Control": f"public, max-age={60 * 86400}"}, 60),
        ({"Cache-Control": f"max-age=60, s-maxage={90 * 86400}"}, 90),
        ({"Cache-Control": "max-age=999999999999"}, 180),
        ({"Cache-Control": "max-age=-1, no-store"}, 30),
        ({"Expires": "Sun, 01 Mar 2026 00:00:00 GMT"}, 59),
        ({"Expires": "0"}, 30),
        ({"Expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, 180),
        ({"Expires": "Sun, 01 Mar 2026 00:00:00 GMT", "Cache-Control": "max-age=0"}, 30),
    ],
)
def test_an_answer_is_valid_for_as_long_as_its_server_says_within_bounds(
    headers: dict[str, str], days: int
) -> None:
    assert validity.expiry(headers, now=NOW) == NOW + timedelta(days=days)


def test_only_what_can_be_sent_back_is_kept_as_a_validator() -> None:
    odd = {"ETag": '"a\r\nX: y"', "Last-Modified": "yesterday\r\n"}

    assert validity.validators({"ETag": 'W/"1"'}) == ('W/"1"', "")
    assert validity.validators(odd) == ("", "")


def allowed(url: str) -> None:
    """Return whether a page may be fetched, in a new visit."""
    robots.require_allowed(url, visited=set())


def test_the_rules_of_a_site_are_asked_for_once_a_day(web: Web) -> None:
    web.has("/robots.txt", "User-agent: Commonplace\nDisallow: /no\nUser-agent: *\nDisallow: /")
    for _ in range(3):
        allowed(web.url("/yes"))
        with pytest.raises(robots.Disallowed):
            allowed(web.url("/no"))
    assert len(web.visits("/robots.txt")) == 1

    Robots.objects.update(fetched_at=timezone.now() - timedelta(hours=25))
    web.has("/robots.txt", "")
    allowed(web.url("/no"))

    assert len(web.visits("/robots.txt")) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, None), (403, None), (429, ErrorStatus), (500, ErrorStatus), (None, Unreachable)],
)
def test_a_site_without_rules_allows_all_and_one_that_is_ill_is_asked_later(
    web: Web, status: int | None, error: type[FetchFailed] | None
) -> None:
    web.has("/robots.txt", "Disallow: /", status=status)

    if error is None:
        allowed(web.url("/page"))
    else:
        with pytest.raises(error) as failed:
            allowed(web.url("/page"))
        assert not failed.value.lasting
        assert Robots.objects.count() == 0


@pytest.mark.parametrize(("wanted", "kept"), [("30", 30), ("9999999999999999", 60), ("1.5", 2)])
def test_a_site_is_left_alone_for_as_long_as_it_wants_within_reason(
    web: Web, wanted: str, kept: int
) -> None:
    web.has("/robots.txt", f"User-agent: *\nCrawl-delay: {wanted}")
    other = web.url("/page", host="localhost")

    allowed(web.url("/page"))
    waits = []
    for _ in range(3):
        with pytest.raises(Later) as later:
            allowed(web.url("/page"))
        waits.append(later.value.seconds / kept)
    robots.rules_of(f"http://localhost:{urlsplit(other).port}")
    allowed(other)

    assert waits == pytest.approx([2, 3, 4], abs=0.1)  # each in its turn
    assert web.visits() == []


@pytest.mark.parametrize("wanted", ["1", "0", "-5", "soon", "1e400"])
def test_a_site_that_wants_no_more_than_a_second_is_not_waited_for(web: Web, wanted: str) -> None:
    web.has("/robots.txt", f"User-agent: *\nCrawl-delay: {wanted}")

    for _ in range(3):
        allowed(web.url("/page"))

    assert not RateGroup.objects.exists()


def test_a_site_that_wants_time_is_followed_within_itself(web: Web) -> None:
    web.has("/robots.txt", "User-agent: *\nCrawl-delay: 20")
    page = saved(web, "/old", "", 301, Location="/new")
    web.has("/new", "<title>Here</title>")
    other = saved(web, "/other", "<title>There</title>")

    first = services.fetch_page(url_id=page.pk)
    with pytest.raises(Later):
        services.fetch_page(url_id=other.pk)

    assert (first, Metadata.objects.get(url=page).title) == ("fetched", "Here")
    assert [each.path for each in web.visits()] == ["/old", "/new"]
    assert not Metadata.objects.filter(url=other).exists()  # no failure of the site's


def test_staff_see_pages_and_let_them_be_fetched_again(web: Web, alice: User) -> None:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("admin", "admin@example.org", "secret"))
    url = Url.objects.create(canonical=PAGE, host="example.org")
    Metadata.objects.create(url=url, status="failed", error="The site is down.", expires_at=NOW)

    listed = browser.get("/admin/pages/metadata/")
    for model in ("metadata", "url"):
        chosen = {"action": "fetch_again", "_selected_action": [str(url.pk)]}
        assert browser.post(f"/admin/pages/{model}/", chosen).status_code == 302

    assert b"The site is down." in listed.content
    assert browser.get(f"/admin/pages/metadata/{url.pk}/change/").status_code == 200
    assert page_events() == [{"url_id": url.pk, "host": "example.org"}] * 2


def test_staff_who_may_only_look_and_servers_that_fetch_nothing_fetch_no_page_again(
    alice: User, settings: Any
) -> None:
    looking = User.objects.create_user("sam", "sam@example.org", "secret", is_staff=True)
    looking.user_permissions.set(Permission.objects.filter(codename__in=["view_url"]))
    url = Url.objects.create(canonical=PAGE, host="example.org")
    chosen = {"action": "fetch_again", "_selected_action": [str(url.pk)]}
    for user, is_on in ((looking, True), (User.objects.create_superuser("admin"), False)):
        settings.FETCH_METADATA = is_on
        browser = Browser()
        browser.force_login(user)

        browser.post("/admin/pages/url/", chosen)

    assert page_events() == []


def test_the_rules_of_sites_are_listed_if_a_page_of_them_is_public(alice: User) -> None:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("admin"))
    add_card(curator=alice, type="URL", url=PAGE)
    for site in ("https://example.org", "http://example.org:8080", "https://other.example"):
        Robots.objects.create(origin=site, fetched_at=NOW)

    listed = browser.get("/admin/pages/robots/").content.decode()

    assert "https://example.org" in listed
    assert "http://example.org:8080" in listed
    assert "other.example" not in listed


def saved(web: Web, path: str, body: str, status: int = 200, **headers: str) -> Url:
    canonical = web.has(path, body, status, **headers).replace("http:", "https:")
    return Url.objects.create(canonical=canonical, host="127.0.0.1")


@pytest.mark.parametrize("ago", [timedelta(hours=1), timedelta(0)], ids=str)
def test_a_page_that_others_keep_private_looks_new_until_it_is_asked_for_again(
    web: Web, alice: User, bob: User, client_of: Client, ago: timedelta
) -> None:
    earlier = timezone.now() - ago
    add_card(curator=bob, type="URL", url=PAGE, visibility="PRIVATE")
    known = Metadata.objects.create(
        url=Url.objects.get(), title="A title", page_fields={"title": "A title"}, status="fetched",
        requested_at=earlier, fetched_at=earlier, expires_at=NOW,
    )  # fmt: skip
    client = client_of(alice)

    added = client.post("/api/v1/cards/", {"type": "URL", "url": PAGE}).json()
    path = f"/api/v1/cards/{added['id']}/"
    seen = [added, client.get(path).json(), client_of(bob).get(path).json()]
    events = Event.objects.filter(type="page.expired").count()
    Metadata.objects.filter(pk=known.pk).update(fetched_at=timezone.now())
    then = client.get(path).json()

    assert {card["metadata"]["status"] for card in seen} == {"pending"}
    assert {card["display_title"] for card in seen} == {PAGE}
    assert events == 1
    assert (then["metadata"]["status"], then["display_title"]) == ("fetched", "A title")


@pytest.mark.parametrize("ago", [timedelta(hours=1), timedelta(0)], ids=str)
def test_a_card_that_moves_to_a_private_page_finds_it_new_and_one_made_public_shows_its_own(
    web: Web, alice: User, bob: User, client_of: Client, ago: timedelta
) -> None:
    earlier = timezone.now() - ago
    add_card(curator=bob, type="URL", url=PAGE, visibility="PRIVATE")
    Metadata.objects.create(
        url=Url.objects.get(), title="A title", status="fetched", requested_at=earlier,
        fetched_at=earlier, expires_at=NOW,
    )  # fmt: skip
    moving, _ = add_card(curator=alice, type="URL", url=f"{PAGE}/other")
    client = client_of(alice)

    moved = client.patch(f"/api/v1/cards/{moving.pk}/", {"url": PAGE}).json()

    assert moved["metadata"]["status"] == "pending"
    assert Event.objects.filter(type="page.expired").count() == 1
    assert Url.objects.get(canonical=PAGE).public_since is not None

    hidden, _ = add_card(curator=alice, type="URL", url=f"{PAGE}/mine", visibility="PRIVATE")
    now = timezone.now()
    assert hidden.url
    Metadata.objects.create(
        url=hidden.url, title="Mine", status="fetched", requested_at=now, fetched_at=now,
        expires_at=NOW,
    )  # fmt: skip
    client.patch(f"/api/v1/cards/{hidden.pk}/", {"visibility": "PUBLIC"})
    shown = client_of(bob).get(f"/api/v1/cards/{hidden.pk}/").json()
    assert shown["display_title"] == "Mine"
