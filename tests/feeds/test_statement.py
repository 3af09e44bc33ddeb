"""Handlers whose effects on few events are one statement: the same effects, and the same care."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model

from accounts.models import User, Visibility
from accounts.services import follow
from cards.events import CardAdded
from cards.services import update_card
from eventbook.database.statements import execute as run_sql
from eventbook.declare.handlers import handlers
from eventbook.models import Delivery, Event, Lease
from eventbook.work.execution import run_deliveries
from feeds.models import Timeline, TimelineEntry
from notifications.models import Notification
from tests.harness.deliveries import expanded, recorded
from tests.library import save, save_many

pytestmark = pytest.mark.django_db(transaction=True)

HANDLERS = {"feeds.fan_out": TimelineEntry, "notifications.notify_card_added": Notification}
# Without this it refuses the entries of some cards.
REFUSE = "ALTER TABLE feeds_timelineentry ADD CONSTRAINT refused CHECK (card_id <> '{}')"
REFUSE_NO_MORE = "ALTER TABLE feeds_timelineentry DROP CONSTRAINT refused"


def written(model: type[Model]) -> list[dict[str, Any]]:
    return list(model._default_manager.order_by("pk").values())


@pytest.fixture
def library(alice: User, bob: User, charlie: User) -> None:
    """Cards and followers of every kind that matters."""
    follow(follower=bob, followed=alice, notify=True)
    follow(follower=charlie, followed=alice)
    save(charlie)
    save(bob)
    save(alice)
    save_many(alice, 2)
    hidden, shown = save(alice, "https://example.org/1"), save(alice, "https://example.org/2")
    update_card(card=hidden, visibility=Visibility.PRIVATE)
    update_card(card=shown, visibility=Visibility.PUBLIC)
    Timeline.objects.create(owner=charlie, read_at=shown.created_at, evicted_at=shown.created_at)


@pytest.mark.parametrize("name", HANDLERS)
def test_it_writes_what_the_function_writes(library: None, name: str) -> None:
    assert run_deliveries(handlers[name], expanded(name)) == {"done": 7}
    by_statement = written(HANDLERS[name])
    HANDLERS[name]._default_manager.all().delete()

    handlers[name].handle(recorded(CardAdded))

    assert by_statement == written(HANDLERS[name])
    assert by_statement


def test_a_small_batch_is_logged_with_the_seconds_that_it_took(
    library: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="eventbook.work.run_log")

    run_deliveries(handlers["feeds.fan_out"], expanded("feeds.fan_out"))

    (done,) = [record for record in caplog.records if record.getMessage() == "delivery.done"]
    assert vars(done)["seconds"] < 10


def test_a_small_batch_is_one_statement(library: None) -> None:
    ids = expanded("feeds.fan_out")
    seen: list[str] = []

    def note(run: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return run(sql, *rest)

    with connection.execute_wrapper(note):
        run_deliveries(handlers["feeds.fan_out"], ids)

    assert len([sql for sql in seen if "eventbook_delivery" in sql]) == 1
    assert not Lease.objects.exists()


def test_a_message_that_comes_again_finds_nothing(library: None) -> None:
    ids = expanded("feeds.fan_out")
    run_deliveries(handlers["feeds.fan_out"], ids)

    assert run_deliveries(handlers["feeds.fan_out"], ids) == {"done": 0}


def test_an_event_of_another_version_is_left_to_the_function(library: None) -> None:
    first, *rest = expanded("feeds.fan_out")
    event = Delivery.objects.get(id=first).event_id
    Event.objects.filter(pk=event).update(version=9)

    run_deliveries(handlers["feeds.fan_out"], [first, *rest])

    assert Delivery.objects.get(id=first).state == "retry"
    assert "this release knows 1" in Delivery.objects.get(id=first).error
    assert Delivery.objects.filter(id__in=rest, state="done").count() == len(rest)


def test_an_event_without_a_field_is_a_failure_and_not_nothing(library: None) -> None:
    first, *rest = expanded("feeds.fan_out")
    event = Delivery.objects.get(id=first).event_id
    Event.objects.filter(pk=event).update(data={"curator_id": 1})

    run_deliveries(handlers["feeds.fan_out"], [first, *rest])

    delivery = Delivery.objects.get(id=first)
    assert (delivery.state, delivery.attempts) == ("retry", 1)
    assert "card_id" in delivery.error
    assert Delivery.objects.filter(id__in=rest, state="done").count() == len(rest)


def test_where_it_fails_only_the_culprit_is_charged(library: None) -> None:
    first, *rest = expanded("feeds.fan_out")
    card = recorded(CardAdded)[2].event.card_id  # one with followers
    run_sql(REFUSE.format(card), prepare=False)
    try:
        run_deliveries(handlers["feeds.fan_out"], [first, *rest])
    finally:
        run_sql(REFUSE_NO_MORE, prepare=False)

    failed = Delivery.objects.get(attempts__gt=0)
    assert failed.event.subject == f"cards/{card}"
    assert (failed.state, failed.attempts) == ("retry", 1)
    assert Delivery.objects.filter(handler="feeds.fan_out", state="done").count() == len(rest)
