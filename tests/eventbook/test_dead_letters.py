"""Dead letters tell their story, and operators act on one, on some, or on all that fit."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from eventbook.models import Attempt, Delivery, Operation
from eventbook.operate import actions
from eventbook.operate.actions import DeadLetters
from tests.conftest import Drain
from tests.eventbook.conftest import Staff
from tests.harness.interleaving import second_session, someone_waits
from tests.harness.processes import wait_for
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:eventbook_delivery_changelist")


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("dead-letters", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def letters(drain: Drain) -> list[Delivery]:
    """Two dead letters, of both of the probe's handlers, an hour and a minute old."""
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="bad", behaviour="raise"))
    drain()
    found = list(Delivery.objects.order_by("handler"))
    Delivery.objects.filter(handler="probe.call").update(
        finished_at=timezone.now() - timedelta(hours=1)
    )
    return found


@pytest.fixture
def operator(db: None, staff: Staff) -> Client:
    """Return the browser of an operator, who may see deliveries and act on dead ones."""
    return staff("alice", "view_delivery", "operate_deliveries")


def test_every_failed_attempt_is_kept_with_time_worker_and_traceback(
    letters: list[Delivery],
) -> None:
    attempts = list(Attempt.objects.filter(delivery=letters[1]).order_by("number"))

    assert [attempt.number for attempt in attempts] == [1, 2, 3]
    assert [a.failed_at for a in attempts] == sorted(a.failed_at for a in attempts)
    assert all("Traceback" in attempt.error for attempt in attempts)
    assert all("Refused: bad" in attempt.error for attempt in attempts)
    assert all(":" in attempt.worker for attempt in attempts)


def test_the_command_shows_the_whole_story(letters: list[Delivery]) -> None:
    text = printed("show", str(letters[1].pk))

    assert "event: probes/bad" in text
    assert text.count("Refused: bad") >= 3
    assert "attempt 3 at" in text

    (story,) = json.loads(printed("show", str(letters[1].pk), "--json"))
    assert story["data"]["key"] == "bad"
    assert [failure["number"] for failure in story["failures"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("filters", "handlers"),
    [
        ([], {"probe.call", "probe.write"}),
        (["--queue", "feeds"], {"probe.call"}),
        (["--handler", "probe.write"], {"probe.write"}),
        (["--type", "probe.sent"], {"probe.call", "probe.write"}),
        (["--type", "probe.spread"], set()),
        (["--error", "refused: BAD"], {"probe.call", "probe.write"}),
        (["--error", "timeout"], set()),
    ],
)
def test_letters_are_found_by_what_they_are(
    letters: list[Delivery], filters: list[str], handlers: set[str]
) -> None:
    assert {letter["handler"] for letter in json.loads(printed("list", "--json", *filters))} == (
        handlers
    )


def test_letters_are_found_by_when_they_died(letters: list[Delivery]) -> None:
    half = (timezone.now() - timedelta(minutes=30)).isoformat()

    newer = json.loads(printed("list", "--json", "--since", half))
    older = json.loads(printed("list", "--json", "--until", half))

    assert [letter["handler"] for letter in newer] == ["probe.write"]
    assert [letter["handler"] for letter in older] == ["probe.call"]


def test_acting_needs_a_choice_and_leaves_a_note(letters: list[Delivery]) -> None:
    with pytest.raises(CommandError, match="Give ids"):
        printed("discard")

    assert printed("discard", "--error", "Refused", "--queue", "feeds") == (
        "discard: 1 dead letters\n"
    )
    note = Operation.objects.get()
    assert (note.action, note.count) == ("dead_letters.discard", 1)
    assert note.details == {"queue": "feeds", "error": "Refused"}


def test_a_few_are_replayed_first_those_that_died_first(letters: list[Delivery]) -> None:
    first = Delivery.objects.filter(state="dead").order_by("finished_at", "id")[0]

    text = printed("replay", "--limit", "1")

    assert text == "replay: 1 dead letters\n"
    states = dict(Delivery.objects.values_list("id", "state"))
    assert [states[letter.pk] for letter in letters if letter.pk != first.pk] == ["dead"]
    assert states[first.pk] == "queued"
    assert Operation.objects.get().details == {"limit": "1"}
    with pytest.raises(CommandError, match="not a whole number from 1"):
        printed("replay", "--limit", "0")


def test_the_admins_page_tells_the_story_and_has_the_buttons(
    letters: list[Delivery], operator: Client
) -> None:
    page = operator.get(reverse("admin:eventbook_delivery_change", args=[letters[1].pk]))

    text = page.content.decode()
    assert text.count("Traceback (most recent call last)") == 3
    assert 'value="replay_dead"' in text
    assert 'value="discard_dead"' in text


def test_the_button_replays_one(letters: list[Delivery], operator: Client) -> None:
    operator.post(LIST, {"action": "replay_dead", "_selected_action": letters[1].pk})

    assert {d.handler: d.state for d in Delivery.objects.all()} == {
        "probe.call": "dead",
        "probe.write": "queued",
    }


def test_an_action_on_all_that_fit_the_filter(letters: list[Delivery], operator: Client) -> None:
    address = f"{LIST}?handler=probe.call"
    form = {"action": "discard_dead", "_selected_action": letters[0].pk, "select_across": "1"}

    asked = operator.post(address, form).content.decode()
    unchanged = set(Delivery.objects.values_list("state", flat=True))
    operator.post(address, form | {"post": "yes"})

    assert "Yes, discard 1" in asked
    assert "probe.call" in asked
    assert unchanged == {"dead"}
    assert {d.handler: d.state for d in Delivery.objects.all()} == {
        "probe.call": "discarded",
        "probe.write": "dead",
    }


def test_who_may_only_look_has_no_buttons(
    letters: list[Delivery], operator: Client, django_user_model: Any
) -> None:
    user = django_user_model.objects.get(username="alice")
    user.user_permissions.remove(Permission.objects.get(codename="operate_deliveries"))

    page = operator.get(reverse("admin:eventbook_delivery_change", args=[letters[1].pk]))
    operator.post(LIST, {"action": "discard_dead", "_selected_action": letters[1].pk})

    assert "discard_dead" not in page.content.decode()
    assert Delivery.objects.filter(state="dead").count() == 2


def test_very_many_are_one_statement(letters: list[Delivery]) -> None:
    count = actions.replay_dead_letters(
        DeadLetters(among=Delivery.objects.filter(queue="feeds").order_by("-id")), actor="test"
    )

    assert count == 1
    assert "ids" not in Operation.objects.get().details


def test_of_a_discard_and_a_replay_at_once_one_acts(letters: list[Delivery]) -> None:
    which = DeadLetters(type="probe.sent")
    with second_session() as other:
        other.do(lambda: actions.discard_dead_letters(which, actor="other"))
        replaying = ThreadPoolExecutor(1).submit(replay_in_thread, which)
        wait_for(someone_waits, seconds=10, what="the replay waits")
        other.commit()

    assert replaying.result(timeout=10) == 0
    assert set(Delivery.objects.values_list("state", "due_at")) == {("discarded", None)}


def replay_in_thread(which: DeadLetters) -> int:
    try:
        return actions.replay_dead_letters(which, actor="test")
    finally:
        connection.close()
