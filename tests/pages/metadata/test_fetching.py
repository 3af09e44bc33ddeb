"""Saving a page lets real workers fetch it, from a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from eventbook.models import Delivery, Event
from pages.metadata.refreshing import refresh
from pages.models import Metadata
from tests.conftest import Drain
from tests.pages.metadata.web import Reply, Web

Client = Callable[[Any], APIClient]
CARDS = "/api/v1/cards/"
ARTICLE = """
    <html><head><title>As We May Think | The Atlantic</title>
    <meta name=citation_title content="As We May Think">
    <meta name=citation_author content="Bush, Vannevar">
    <meta name=citation_publication_date content="1945/07">
    <meta name=citation_journal_title content="The Atlantic Monthly">
    </head></html>
"""
pytestmark = pytest.mark.django_db(transaction=True)


def save(client: APIClient, url: str) -> Any:
    response = client.post(CARDS, {"type": "URL", "url": url})
    assert response.status_code == 201
    return response.json()


def metadata(client: APIClient, card: Any) -> Any:
    return client.get(f"{CARDS}{card['id']}/").json()["metadata"]


def test_a_page_saved_by_its_address_becomes_a_reference_by_itself(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)

    card = save(client, web.has("/article", ARTICLE))
    drain()

    assert card["metadata"]["status"] == "pending"
    assert card["display_title"] == web.url("/article")
    found = client.get(f"{CARDS}{card['id']}/").json()
    assert (found["title"], found["display_title"]) == ("", "As We May Think")
    expected = {
        "status": "fetched",
        "title": "As We May Think",
        "authors": ["Vannevar Bush"],
        "published": "1945-07",
        "journal": "The Atlantic Monthly",
        "content_type": "text/html",
        "error": "",
    }
    assert found["metadata"].items() >= expected.items()
    assert Delivery.objects.exclude(state="done").count() == 0


def test_one_fetch_serves_all_who_save_a_page_at_once(
    web: Web, alice: User, bob: User, client_of: Client, drain: Drain
) -> None:
    url, clients = web.has("/article", ARTICLE), [client_of(alice), client_of(bob)]

    def add(number: int) -> Any:
        try:
            return save(clients[number], url)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        cards = list(pool.map(add, range(2)))
    drain()

    assert len(web.visits()) == 1
    assert Event.objects.filter(type="page.added").count() == 1
    for client, card in zip(clients, cards, strict=True):
        assert metadata(client, card)["title"] == "As We May Think"


def test_who_saves_a_known_page_has_its_metadata_at_once(
    web: Web, alice: User, bob: User, client_of: Client, drain: Drain
) -> None:
    url = web.has("/article", ARTICLE)
    first = save(client_of(alice), url)
    drain()

    second = save(client_of(bob), url)

    assert second["metadata"] == metadata(client_of(alice), first)
    assert second["metadata"]["fetched_at"].endswith("Z")
    assert len(web.visits()) == 1


def test_pages_of_a_site_are_fetched_no_faster_than_one_a_second(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    urls = [web.has(f"/{number}", ARTICLE) for number in range(4)]

    bulk = [{"type": "URL", "url": url} for url in urls]
    assert client_of(alice).post(f"{CARDS}bulk/", {"cards": bulk}).status_code == 201
    drain()

    times = [each.at for each in web.visits()]
    assert len(times) == len(urls)
    assert min(later - sooner for sooner, later in pairwise(times)) >= 1.0
    assert len(web.visits("/robots.txt")) == 1


def test_pages_of_several_sites_are_fetched_at_the_same_time(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    # Neither comes until both are asked for: one after the other, they would never.
    web.replies["/page"] = Reply(ARTICLE.encode(), together=threading.Barrier(2))
    urls = [web.url("/page", host=host) for host in ("127.0.0.1", "localhost")]
    bulk = [{"type": "URL", "url": url} for url in urls]
    assert client_of(alice).post(f"{CARDS}bulk/", {"cards": bulk}).status_code == 201
    drain()

    assert set(Metadata.objects.values_list("status", "failures")) == {("fetched", 0)}
    assert len(web.visits()) == 2


def test_a_page_that_became_a_reference_is_exported_as_one(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    save(client, web.has("/article", ARTICLE))
    drain()

    (item,) = json.loads(client.get("/api/v1/exports/?format=csl").getvalue())

    assert item["type"] == "article-journal"
    assert item["author"] == [{"family": "Bush", "given": "Vannevar"}]
    assert item["issued"] == {"date-parts": [[1945, 7]]}
    assert (item["title"], item["container-title"]) == ("As We May Think", "The Atlantic Monthly")


def test_what_a_site_keeps_machines_from_is_not_fetched(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    web.has("/robots.txt", "User-agent: *\nDisallow: /*/private$\n", Content_Type="text/plain")
    client = client_of(alice)
    card = save(client, web.has("/article/private", ARTICLE))
    drain()

    found = metadata(client, card)

    assert web.visits() == []
    assert (found["status"], found["title"]) == ("failed", "")
    assert "robots.txt" in found["error"]


def test_a_site_that_is_down_is_tried_again_and_leaves_no_dead_letter(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    card = save(client, web.has("/down", status=None))
    web.has("/busy", status=503)
    busy = save(client, web.url("/busy", host="localhost"))
    assert client.patch(f"{CARDS}{card['id']}/", {"title": "Mine"}).status_code == 200
    drain()

    found = metadata(client, card)
    assert (found["status"], found["error"][:20]) == ("failed", "No complete response")
    assert metadata(client, busy)["error"] == "The server responded with status 503."
    assert len(web.visits("/down")) == len(web.visits("/busy")) == 3
    assert set(Delivery.objects.values_list("state", "attempts")) == {("done", 0)}


def test_a_redirect_to_a_private_network_is_refused(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    url = web.has("/moved", status=302, Location="http://169.254.169.254/latest/meta-data/")
    card = save(client, url)
    drain()

    found = metadata(client, card)

    assert found["status"] == "failed"
    assert found["error"] == "The address is not on the public internet."
    assert len(web.visits()) == 1


def test_a_redirect_is_followed_only_where_its_target_is_allowed(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    web.has("/robots.txt", "User-agent: *\nDisallow: /secret\n")
    client = client_of(alice)
    secret = save(client, web.has("/to-secret", status=301, Location="/secret"))
    open = save(client, web.has("/to-article", status=301, Location="/article"))
    web.has("/article", ARTICLE)
    web.has("/secret", ARTICLE)
    drain()

    assert metadata(client, open)["title"] == "As We May Think"
    assert metadata(client, secret)["status"] == "failed"
    assert web.visits("/secret") == []


def test_a_file_is_named_and_not_read(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    url = web.has("/paper.pdf", "%PDF", Content_Type="application/pdf", Content_Length="9999999999")
    card = save(client, url)
    drain()

    found = metadata(client, card)

    assert (found["status"], found["title"]) == ("fetched", "")
    assert (found["content_type"], found["size"]) == ("application/pdf", 9999999999)


def test_nothing_that_tells_of_people_is_sent(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    save(client_of(alice), web.has("/article", ARTICLE) + "?utm_source=alice#alice")
    drain()

    (asked,) = web.visits()
    assert asked.path == "/article"
    assert set(asked.headers) == {
        *("Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language"),
    }
    assert asked.headers["User-Agent"].startswith("Commonplace/")


def test_a_page_is_asked_again_when_its_time_is_over_and_only_whether_it_changed(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    url = web.has("/article", ARTICLE, ETag='"1"', Cache_Control="max-age=60")
    card = save(client, url)
    drain()
    (fresh,) = Metadata.objects.all()
    assert refresh() == {"expired": 0, "unknown": 0}
    Metadata.objects.update(expires_at=timezone.now())

    assert refresh() == {"expired": 1, "unknown": 0}
    assert refresh() == {"expired": 0, "unknown": 0}
    drain()

    assert fresh.fetched_at
    assert fresh.expires_at - fresh.fetched_at == timedelta(days=30)
    assert [each.headers.get("If-None-Match") for each in web.visits()] == [None, '"1"']
    (again,) = Metadata.objects.all()
    assert again.fetched_at
    assert again.fetched_at > fresh.fetched_at
    assert again.expires_at > fresh.expires_at
    assert metadata(client, card)["title"] == "As We May Think"


def test_a_page_that_is_gone_keeps_what_it_said(
    web: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    card = save(client, web.has("/article", ARTICLE))
    drain()
    web.has("/article", status=410)
    Metadata.objects.update(expires_at=timezone.now())
    refresh()
    drain()

    found = metadata(client, card)

    assert (found["status"], found["title"]) == ("fetched", "As We May Think")
    assert found["error"] == "The server responded with status 410."
