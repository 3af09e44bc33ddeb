"""People who are deleted at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from accounts.services import delete_person, follow
from accounts.signals import person_deleting
from tests.library import PAGE, save

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("attempt", range(3))
def test_two_people_who_follow_each_other_are_deleted_at_once(
    alice: User, bob: User, attempt: int
) -> None:
    for one, other in ((alice, bob), (bob, alice)):
        follow(follower=one, followed=other)
        above = save(one, f"{PAGE}/{attempt}")
        save(other, f"{PAGE}/below", parent=above.pk)
    both_began = threading.Barrier(2, timeout=1)

    def meet(**_: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            both_began.wait()

    def delete(person: User) -> None:
        try:
            delete_person(person=person)
        finally:
            connection.close()

    person_deleting.connect(meet)
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(delete, [alice, bob]))
    finally:
        person_deleting.disconnect(meet)

    assert User.objects.count() == 0
