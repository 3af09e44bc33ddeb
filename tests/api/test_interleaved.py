"""Requests at the same moment as another transaction: what is gone is a conflict, not an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import delete_person
from cards.services import lock_parents, remove_card, update_card
from tests.harness.interleaving import second_session
from tests.harness.processes import wait_for
from tests.library import collection_of, save, save_many

pytestmark = pytest.mark.django_db(transaction=True)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
Send = Callable[..., Future[int]]


@pytest.fixture
def send(alice: User, client_of: Callable[[Any], APIClient]) -> Iterator[Send]:
    """Return a function that sends a request of alice's in a thread; it gives the status."""
    client = client_of(alice)
    client.raise_request_exception = False

    def status(method: str, path: str, *args: Any, **meta: Any) -> int:
        try:
            return int(getattr(client, method)(f"/api/v1/{path}", *args, **meta).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        yield lambda *args, **meta: pool.submit(status, *args, **meta)


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("meta", [{}, {"HTTP_IDEMPOTENCY_KEY": "one"}], ids=["plain", "with a key"])
def test_a_card_that_is_removed_while_it_is_collected_is_a_conflict(
    alice: User, bob: User, send: Send, meta: dict[str, str]
) -> None:
    collection, card = collection_of(alice), save(bob)
    with second_session() as other:
        other.do(lambda: remove_card(card=card))
        sent = send("post", f"collections/{collection.pk}/cards/", {"card": str(card.pk)}, **meta)
        wait_for(somebody_waits, seconds=10, what="the request to wait for the removal")
        other.commit()

    assert sent.result(timeout=30) == 409


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("patch", "users/me/", {"bio": "Reads."}, 404),
        ("post", "auth/login/", {"username": "alice", "password": "alice-reads-a-lot"}, 401),
        ("post", "cards/", {"type": "NOTE", "text": "x"}, 409),
    ],
)
def test_somebody_who_is_being_deleted_is_gone(
    alice: User, send: Send, method: str, path: str, body: dict[str, str], status: int
) -> None:
    with second_session() as other:
        other.do(lambda: delete_person(person=alice))
        sent = send(method, path, body)
        wait_for(somebody_waits, seconds=10, what="the request to wait for the deletion")
        other.commit()

    assert sent.result(timeout=30) == status


def test_a_card_that_is_removed_while_staff_change_it_is_not_found(
    alice: User, admin_client: Client
) -> None:
    card = save(alice)
    admin_client.raise_request_exception = False

    def change() -> int:
        try:
            form = {"title": "x", "text": "", "visibility": "PUBLIC"}
            path = f"/admin/cards/card/{card.pk}/change/"
            return int(admin_client.post(path, form).status_code)
        finally:
            connection.close()

    with second_session() as other, ThreadPoolExecutor(1) as pool:
        other.do(lambda: remove_card(card=card))
        sent = pool.submit(change)
        wait_for(somebody_waits, seconds=10, what="the change to wait for the removal")
        other.commit()
        assert sent.result(timeout=30) == 404


def test_a_conditional_change_of_a_parent_never_deadlocks(alice: User, send: Send) -> None:
    child, parent = save_many(alice, 2)
    with second_session() as other:
        # A change without a condition, stopped after its first lock.
        other.do(lock_parents)
        sent = send("patch", f"cards/{child.pk}/", {"parent": str(parent.pk)}, HTTP_IF_MATCH="*")
        wait_for(somebody_waits, seconds=10, what="the request to wait for the other change")
        other.do(lambda: update_card(card=child, parent=parent.pk))
        other.commit()

    assert sent.result(timeout=30) == 200
