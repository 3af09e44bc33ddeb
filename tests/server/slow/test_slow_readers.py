"""A client that reads slowly, but fast enough, gets all of a response that is complete already."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from accounts.models import User
from cards.models import Card
from tests.harness.web import WebProcess
from tests.library import token_of
from tests.server.slow.clients import Slow, head

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    log, settings = (
        tmp_path_factory.mktemp("readers") / "web.log",
        "tests.server.slow.small_buffers",
    )
    process = WebProcess(
        log, DJANGO_SETTINGS_MODULE=settings, IDLE_SECONDS="1.5", SEND_STALL_SECONDS="5"
    )
    yield process
    process.stop()


@pytest.mark.parametrize("cards", [2, 8])
def test_the_end_of_a_response_is_waited_for_too(web: WebProcess, alice: User, cards: int) -> None:
    Card.objects.bulk_create(
        Card(curator=alice, type="NOTE", text="a" * 20_000, title=f"{n}") for n in range(cards)
    )
    asked = head("/api/v1/cards/?page_size=100", "Accept-Encoding: identity", token=token_of(alice))

    with Slow(web) as slow:
        connection, received, length = slow.open(asked, reads=False), b"", 1
        while len(received) < length and (piece := connection.recv(2048)):
            received += piece
            start, _, _ = received.partition(b"\r\n\r\n")
            length = (
                len(start) + 4 + int(start.lower().partition(b"content-length: ")[2].split()[0])
            )
            time.sleep(0.2)

    assert len(received) == length
