"""The auditor: each rule holds on a sound database, and tells when somebody breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from inspect import getsource
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from eventbook.deliveries.subscriptions import subscribe
from eventbook.models import Audit, Delivery, Event, Lease, OutboxEntry
from eventbook.operate import audit as module
from eventbook.operate.audit import audit, audit_rule, rules
from tests.conftest import Drain
from tests.probe.handlers import PART
from tests.probe.sending import send, send_large

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def history(drain: Drain) -> None:
    """Deliver a probe, and a large one in parts, some minutes ago."""
    subscribe()
    send_large("large", 5 * PART + 1)
    send("a")
    drain()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE eventbook_event SET recorded_at = recorded_at - interval '3 minutes'"
        )
        cursor.execute(
            "UPDATE eventbook_delivery SET finished_at = finished_at - interval '2 minutes'"
        )


def delete_delivery() -> None:
    Delivery.objects.filter(handler="probe.write").delete()


def forget_entry() -> None:
    event = Event.objects.filter(type="probe.sent").get()
    entry = OutboxEntry.objects.create(event=event, type=event.type, priority=5)
    OutboxEntry.objects.filter(pk=entry.pk).update(
        recorded_at=timezone.now() - timedelta(minutes=6)
    )


def forget_delivery() -> None:
    Delivery.objects.filter(handler="probe.write").update(
        state="queued", publications=0, finished_at=None, due_at=timezone.now() - timedelta(hours=2)
    )


def remove_handler() -> None:
    Delivery.objects.filter(handler="probe.write").update(
        handler="probe.removed",
        state="queued",
        finished_at=None,
        due_at=timezone.now() - timedelta(minutes=11),
    )
    delete_delivery()


def forget_lease() -> None:
    Lease.objects.create(
        handler="probe.write",
        queue="events",
        worker="gone",
        deliveries=[1],
        expires_at=timezone.now() - timedelta(minutes=11),
    )


def delete_event() -> None:
    forget_delivery()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM eventbook_event WHERE type = 'probe.sent'")


def lose_part() -> None:
    Delivery.objects.filter(handler="probe.spread", part=3).delete()


def lose_last_part() -> None:
    Delivery.objects.filter(handler="probe.spread", part=6).delete()


@pytest.mark.parametrize(
    ("rule", "harm"),
    [
        ("every_event_has_its_deliveries", delete_delivery),
        ("every_delivery_has_its_event", delete_event),
        ("no_entry_waits_for_ever", forget_entry),
        ("no_delivery_is_forgotten", forget_delivery),
        ("no_delivery_is_for_nobody", remove_handler),
        ("no_lease_outlives_its_end", forget_lease),
        ("the_parts_make_the_whole", lose_part),
        ("the_parts_make_the_whole", lose_last_part),
    ],
)
def test_a_rule_holds_until_it_is_broken(
    history: None, rule: str, harm: Callable[[], None]
) -> None:
    before = audit()
    harm()

    after = audit()

    assert before == dict.fromkeys(rules, 0)
    assert after[rule] > 0
    kept = Audit.objects.get(rule=rule)
    assert (kept.violations, len(kept.examples)) == (after[rule], min(5, after[rule]))


def test_every_rule_is_broken_by_some_test() -> None:
    (mark,) = test_a_rule_holds_until_it_is_broken.pytestmark  # type: ignore[attr-defined]

    own = re.findall(r'^audit_rule\(\n    "(\w+)"', getsource(module), re.MULTILINE)
    assert {rule for rule, _ in mark.args[1]} == set(own) <= rules.keys()


def test_a_violation_is_in_the_metrics_and_the_doctor_says_what_to_do(history: None) -> None:
    delete_delivery()
    audit()

    text = Client().get("/metrics").content.decode()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)

    assert 'audit_violations{rule="every_event_has_its_deliveries"} 1.0' in text
    assert 'audit_violations{rule="no_entry_waits_for_ever"} 0.0' in text
    assert "audit_age_seconds" in text
    assert "1 violations of every_event_has_its_deliveries" in out.getvalue()
    assert "manage.py replay --handler NAME --event ID" in out.getvalue()


def test_a_rule_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="is taken"):
        audit_rule("no_entry_waits_for_ever", statement="SELECT ''", advice="")
