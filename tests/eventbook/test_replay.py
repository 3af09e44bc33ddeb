"""Replays: which events, to whom, at what pace, and what a client gets wrong."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from eventbook.models import Delivery, Event, Operation, Priority
from eventbook.store.replay import InvalidSelection, Progress, Selection, count, replay
from tests.conftest import Drain
from tests.probe.models import Effect
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("replay", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def delivered(drain: Drain) -> list[Event]:
    """Three events, delivered, an hour apart."""
    send("a")
    send("b")
    send("c")
    drain()
    events = list(Event.objects.order_by("id"))
    for hours, event in zip((3, 2, 1), events, strict=True):
        Event.objects.filter(pk=event.pk).update(
            recorded_at=timezone.now() - timedelta(hours=hours)
        )
    return events


def effects() -> Counter[str]:
    return Counter(Effect.objects.filter(handler="probe.write").values_list("key", flat=True))


def test_by_type_every_handler_of_it_gets_the_events(delivered: list[Event], drain: Drain) -> None:
    results = replay(Selection(type="probe.sent"), actor="test")
    drain()

    assert results == [
        Progress("probe.call", events=3, again=3),
        Progress("probe.write", events=3, again=3),
    ]
    assert effects() == Counter(a=2, b=2, c=2)


def test_without_handler_and_type_nothing_is_selected() -> None:
    with pytest.raises(InvalidSelection, match="Select a handler, or a type"):
        Selection(since=timezone.now())


def test_by_time_and_by_id(delivered: list[Event], drain: Drain) -> None:
    now = timezone.now()
    replay(
        Selection(
            handler="probe.write",
            since=now - timedelta(hours=2, minutes=30),
            until=now - timedelta(hours=1, minutes=30),
        ),
        actor="test",
    )
    replay(Selection(handler="probe.write", event=delivered[0].pk), actor="test")
    drain()

    assert effects() == Counter(a=2, b=2, c=1)


def test_a_dry_run_counts_and_changes_nothing(delivered: list[Event]) -> None:
    Delivery.objects.filter(event=delivered[0], handler="probe.write").delete()

    text = printed("--type", "probe.sent", "--dry-run")

    assert "would be replayed: 3 deliveries to probe.write (1 new, 2 again; 0 still open" in text
    assert count(Selection(handler="probe.write")) == [
        Progress("probe.write", events=3, new=1, again=2)
    ]
    assert states("probe.write") == Counter(done=2)
    assert not Operation.objects.exists()


def test_the_rate_is_kept_by_due_times(delivered: list[Event]) -> None:
    replay(Selection(handler="probe.write"), actor="test", rate=0.5)

    due = [row.due_at for row in Delivery.objects.filter(handler="probe.write").order_by("event")]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(filter(None, due))]
    assert gaps == pytest.approx([2, 2], abs=0.01)
    assert {row.priority for row in Delivery.objects.filter(handler="probe.write")} == {
        Priority.BULK
    }


def test_what_is_open_is_left_as_it_is(delivered: list[Event], drain: Drain) -> None:
    replay(Selection(handler="probe.write"), actor="test")

    (again,) = replay(Selection(handler="probe.write"), actor="test")

    assert again == Progress("probe.write", events=3, still_open=3)
    drain()
    assert effects() == Counter(a=2, b=2, c=2)


def test_the_command_waits_and_speaks_json(delivered: list[Event]) -> None:
    shown = json.loads(printed("--handler", "probe.write", "--json"))

    assert shown == [{"handler": "probe.write", "events": 3, "new": 0, "again": 3, "still_open": 0}]
    note = Operation.objects.get()
    assert (note.action, note.actor, note.count) == ("replay", "command line", 3)


def test_an_interrupted_replay_is_in_the_audit_trail(delivered: list[Event]) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(Selection(type="probe.sent"), actor="alice", report=interrupt)

    note = Operation.objects.get()
    assert (note.action, note.actor, note.count) == ("replay", "alice", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a handler, or a type"),
        (["--handler", "nobody"], "The handlers are: .*probe.write"),
        (["--type", "nothing"], "The types are: .*probe.sent"),
        (["--type", "user.registered"], "No selected handler takes"),
        (["--handler", "probe.write", "--type", "probe.spread"], "No selected handler takes"),
        (["--handler", "probe.write", "--since", "yesterday"], "since"),
        (["--handler", "probe.write", "--event", "1"], "event"),
        (["--handler", "probe.write", "--rate", "0"], "rate"),
        (
            ["--handler", "probe.write", "--since", "2026-02-01", "--until", "2026-01-01"],
            "before",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        printed(*arguments)
