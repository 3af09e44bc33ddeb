"""Due deliveries are found and claimed without reading the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from eventbook.brokers.broker import BrokerDown
from eventbook.database.ids import new_id
from eventbook.database.statements import plan
from eventbook.declare.queues import all_policies
from eventbook.models import Delivery, Priority
from eventbook.relay import due
from eventbook.relay.relay import Relay
from eventbook.relay.scan_start import ScanStart
from tests.harness.plans import entries_read

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_deleted_rows"),
]

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
        taken = due.claim_due(policy, priority=Priority.BULK, sweep=False, limit=LIMIT)
        read = entries_read("eventbook_delivery") - before

    assert len(taken) == LIMIT
    assert read < 10 * LIMIT


def overdue(state: str = "queued") -> Delivery:
    """Return a new delivery whose message counts as lost."""
    ago = timezone.now() - timedelta(seconds=10)
    return Delivery.objects.create(
        event_id=new_id(), handler="probe.write", queue="notifications", recorded_at=ago,
        due_at=ago, priority=Priority.INTERACTIVE, publications=1, state=state,
    )  # fmt: skip


def test_a_lost_message_stays_suspect_if_publishing_it_again_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BrokerDown

    delivery = overdue()
    relay = Relay()
    monkeypatch.setattr(relay.broker, "publish", fail)

    with pytest.raises(BrokerDown):
        relay.step()

    (again,) = due.claim_due(
        all_policies()["notifications"],
        priority=Priority.INTERACTIVE,
        sweep=True,
        limit=LIMIT,
    )
    assert (again.id, again.suspect) == (delivery.id, True)
    relay.broker.close()


def test_a_lane_with_only_running_deliveries_is_not_due() -> None:
    overdue(state="running")
    assert due.first_due(["notifications"], ScanStart()) == {}

    overdue()
    assert list(due.first_due(["notifications"], ScanStart())) == [
        ("notifications", Priority.INTERACTIVE)
    ]
