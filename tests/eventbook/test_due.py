"""What is due is found and taken by itself, however much is done, or waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from eventbook.database.statements import plan
from eventbook.declare.queues import all_policies
from eventbook.models import Priority
from eventbook.relay import due
from tests.plans import entries_read

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 200
MADE = """
    INSERT INTO eventbook_delivery (event_id, handler, queue, state, priority, due_at, recorded_at)
    SELECT gen_random_uuid(), 'probe.write', 'notifications', state, 1,
           CASE state WHEN 'queued' THEN now() END, now()
    FROM (VALUES ('done', 20000), ('queued', 10000)) AS kind (state, count),
         generate_series(1, kind.count)
"""


@pytest.fixture
def many() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(MADE)
        cursor.execute("ANALYZE eventbook_delivery")
    # As the relay does.
    plan(lean=True)
    yield
    plan(lean=False)


def test_what_is_due_is_taken_without_reading_the_rest(many: None) -> None:
    policy = all_policies()["notifications"]
    with transaction.atomic():
        before = entries_read("eventbook_delivery")
        taken = due.take(
            policy, priority=Priority.BULK, handlers=["probe.write"], sweep=False, limit=LIMIT
        )
        read = entries_read("eventbook_delivery") - before

    assert len(taken) == LIMIT
    assert read < 10 * LIMIT
