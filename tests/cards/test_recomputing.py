"""Cards that were saved under earlier rules of identity get the pages of today's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from cards import services
from cards.metadata import visible_metadata
from cards.models import Card
from cards.services import recompute_pages
from eventbook.models import Event
from pages.models import Metadata, Url
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
ABS, PDF = "https://arxiv.org/abs/2101.00001", "https://arxiv.org/pdf/2101.00001v2"
APP = "https://app.example.org/"


def saved_before(curator: User, link: str, canonical: str) -> Card:
    """Save a card as earlier rules did: on the page of that canonical URL."""
    page, _ = Url.objects.get_or_create(canonical=canonical, host=canonical.split("/")[2])
    card, _ = services.add_card(curator=curator, type="NOTE", text="x")
    Card.objects.filter(pk=card.pk).update(type="URL", link=link, url=page)
    return Card.objects.get(pk=card.pk)


def pages() -> dict[str, str]:
    """Return the page of each card, by the curator and the link."""
    found = Card.objects.exclude(link="").select_related("curator", "url")
    return {
        f"{card.curator.username} {card.link}": card.url.canonical for card in found if card.url
    }


def updated_cards() -> list[tuple[str, Any]]:
    """Return the cards that were told of as changed, with their pages."""
    events = Event.objects.filter(type="card.updated").order_by("id")
    return [(event.data["card_id"], event.data["url_id"]) for event in events]


def test_two_people_who_saved_one_work_under_two_addresses_meet(
    alice: User, bob: User, client_of: Client
) -> None:
    card = saved_before(alice, PDF, PDF)
    services.add_card(curator=bob, type="URL", url=ABS)
    out = StringIO()

    call_command("recompute_pages", stdout=out)

    assert pages() == {f"alice {PDF}": ABS, f"bob {ABS}": ABS}
    assert "Done: 2 cards checked, 1 moved, 0 not moved." in out.getvalue()
    assert updated_cards() == [(str(card.pk), Url.objects.get(canonical=ABS).pk)]
    seen = client_of(alice).get("/api/v1/cards/", {"url": PDF}).json()["results"]
    assert {each["canonical_url"] for each in seen} == {ABS}
    # What the history of a card names stays.
    assert Url.objects.filter(canonical=PDF).exists()


def test_two_routes_that_were_one_page_become_two(alice: User, bob: User) -> None:
    saved_before(alice, f"{APP}#/a", APP)
    saved_before(bob, f"{APP}#/b", APP)

    recompute_pages()

    assert pages() == {f"alice {APP}#/a": f"{APP}#/a", f"bob {APP}#/b": f"{APP}#/b"}


def test_a_second_card_of_a_work_stays_where_it_is_and_is_counted(alice: User) -> None:
    saved_before(alice, PDF, PDF)
    services.add_card(curator=alice, type="URL", url=ABS, title="Mine")

    first, again = recompute_pages(), recompute_pages()

    assert (first.moved, first.conflicts) == (again.moved, again.conflicts) == (0, 1)
    assert pages() == {f"alice {PDF}": PDF, f"alice {ABS}": ABS}
    assert updated_cards() == []


def test_a_run_goes_on_where_another_ended_and_does_nothing_twice(alice: User) -> None:
    links = [f"https://youtu.be/abcdefghij{letter}" for letter in "klm"]
    for link in links:
        saved_before(alice, link, link)
    saved_before(alice, "http://a..b/", "https://a..b/")

    first = recompute_pages(limit=2)
    rest = recompute_pages(after=first.last, limit=2)
    again = recompute_pages()

    assert (first.checked, first.moved, rest.checked, rest.moved) == (2, 2, 2, 1)
    assert (again.checked, again.moved) == (4, 0)
    assert len(updated_cards()) == 3
    assert pages()["alice http://a..b/"] == "https://a..b/"


def test_runs_beside_each_other_and_beside_new_cards_move_each_card_once(
    alice: User, bob: User
) -> None:
    ids = [f"2101.{number:05}" for number in range(40)]
    for id in ids:
        saved_before(alice, f"https://arxiv.org/pdf/{id}", f"https://arxiv.org/pdf/{id}")

    def run() -> int:
        try:
            return recompute_pages(limit=100).moved
        finally:
            connection.close()

    def add() -> int:
        try:
            for id in ids:
                services.add_card(curator=bob, type="URL", url=f"https://arxiv.org/abs/{id}")
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work) for work in (run, run, add, run)]
        moved = sum(each.result() for each in running)

    assert moved == 40
    assert len(updated_cards()) == 40
    for id in ids:
        page = Url.objects.get(canonical=f"https://arxiv.org/abs/{id}")
        assert set(page.cards.values_list("curator__username", flat=True)) == {"alice", "bob"}


def test_who_changes_a_card_meanwhile_has_the_last_word(alice: User) -> None:
    card = saved_before(alice, PDF, PDF)

    def run() -> Any:
        try:
            return recompute_pages()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, second_session() as other:
        other.do(lambda: services.update_card(card=card, url="https://example.org/"))
        running = pool.submit(run)
        wait_for(somebody_waits, seconds=20, what="the run waits for the card")
        other.commit()
        done = running.result()

    assert done.moved == 0
    assert pages() == {"alice https://example.org/": "https://example.org/"}


def somebody_waits() -> bool:
    """Return whether a session waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        return bool(cursor.fetchone()[0])


def test_a_card_moved_to_a_page_that_others_keep_private_finds_it_new(
    alice: User, bob: User
) -> None:
    card = saved_before(alice, PDF, PDF)
    Card.objects.filter(pk=card.pk).update(visibility="PRIVATE")
    private, _ = services.add_card(curator=bob, type="URL", url=ABS, visibility="PRIVATE")
    now = timezone.now()
    Metadata.objects.update_or_create(
        url=private.url,
        defaults={
            "title": "Bob's",
            "status": "fetched",
            "requested_at": now,
            "fetched_at": now,
            "expires_at": now,
        },
    )

    recompute_pages()

    moved = Card.objects.select_related("url__metadata").get(pk=card.pk)
    assert moved.url_id == private.url_id
    assert visible_metadata(moved) is None


def test_a_card_whose_link_the_rules_no_longer_allow_can_still_be_made_private(
    alice: User, client_of: Client
) -> None:
    card = saved_before(alice, "http://a host/", "http://a.host/")

    answer = client_of(alice).patch(f"/api/v1/cards/{card.pk}/", {"visibility": "PRIVATE"})

    assert (answer.status_code, answer.json()["visibility"]) == (200, "PRIVATE")
