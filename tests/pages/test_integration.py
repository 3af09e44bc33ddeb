"""Another system may say that a page has changed: it is fetched again if it is public."""

from __future__ import annotations

from typing import Any

import pytest

from eventbook import Received
from eventbook.models import Event, Priority
from pages.canonical import InvalidUrl
from pages.integration import PageChanged, page_changed
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db


def change(url: str) -> None:
    data = PageChanged(url=url)
    page_changed(Received(source="/other", id="1", type="x", subject="", time=None, data=data))


def test_a_public_page_is_fetched_again_as_bulk_work(alice: Any) -> None:
    card = save(alice)

    change(f"{PAGE}?utm_source=newsletter#part")

    event = Event.objects.get(type="page.expired")
    assert event.data["url_id"] == card.url_id
    assert event.priority == Priority.BULK


def test_a_page_that_nobody_has_saved_publicly_is_not_fetched(alice: Any) -> None:
    save(alice, private=True)

    change(PAGE)
    change("https://example.org/unknown")

    assert not Event.objects.filter(type="page.expired").exists()


def test_what_is_no_address_is_refused(alice: Any) -> None:
    with pytest.raises(InvalidUrl):
        change("javascript:alert(1)")
