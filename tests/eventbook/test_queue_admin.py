"""The pages on which staff see the queues, and those on which operators act on them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from eventbook.models import Attempt, Delivery, Operation, Process, QueueControl
from eventbook.operate import actions
from tests.eventbook.conftest import QUEUE, Staff
from tests.probe.sending import states_in

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = reverse("admin:eventbook_queuecontrol_changelist")
DELIVERIES = reverse("admin:eventbook_delivery_changelist")
FORM = {
    "reason": "",
    "concurrency": "",
    "rate_limit": "",
    "rate_seconds": "",
    "group_limit": "",
    "group_seconds": "",
}


@pytest.fixture
def operator(db: None, staff: Staff) -> Client:
    return staff("alice", "view_queuecontrol", "operate_queues", "view_delivery")


@pytest.fixture
def viewer(db: None, staff: Staff) -> Client:
    return staff("bob", "view_queuecontrol", "view_delivery")


def text_of(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200
    return page.content.decode()


def change(queue: str) -> str:
    return reverse("admin:eventbook_queuecontrol_change", args=[queue])


def form(action: str, *keys: object, **more: str) -> dict[str, object]:
    return {"action": action, "_selected_action": list(keys), **more}


def test_the_list_shows_every_queue_the_most_urgent_first(viewer: Client, six: list[int]) -> None:
    actions.pause("feeds", actor="alice", reason="the mail host is down")

    text = text_of(viewer, QUEUES)

    rows = re.findall(r'field-queue[^>]*><a href="[^"]*/([a-z]+)/change/', text)
    assert rows == list(settings.QUEUES)
    assert re.findall(r"field-column[^>]*>(\d+)<", text)[:2] == ["0", "6"]
    assert "by alice: the mail host is down" in text
    assert text.count("</span> running<") == len(settings.QUEUES) - 1


def test_who_may_only_look_can_not_act(viewer: Client, six: list[int]) -> None:
    page = text_of(viewer, QUEUES)
    for action in ("pause", "resume", "retry_now", "purge"):
        viewer.post(QUEUES, form(action, QUEUE, post="yes"))
    for action in ("retry_now", "discard_waiting"):
        viewer.post(DELIVERIES, form(action, *six, post="yes"))
    refused = viewer.post(change(QUEUE), FORM | {"concurrency": "9"})

    assert 'name="action"' not in page
    assert refused.status_code == 403
    assert 'name="concurrency"' not in text_of(viewer, change(QUEUE))
    assert states_in(QUEUE)["queued"] == 6
    assert not Operation.objects.exists()


def test_who_has_neither_permission_sees_nothing(db: None, staff: Staff) -> None:
    assert staff("charlie", "view_delivery").get(QUEUES).status_code == 403


def test_operators_pause_and_resume(operator: Client) -> None:
    text_of(operator, QUEUES)

    paused = operator.post(QUEUES, form("pause", QUEUE, "feeds"), follow=True).content.decode()
    were_paused = set(
        QueueControl.objects.filter(paused_by="alice").values_list("queue", flat=True)
    )
    operator.post(QUEUES, form("resume", "feeds"))

    assert paused.count("by alice") == 2
    assert were_paused == {QUEUE, "feeds"}
    going_on = QueueControl.objects.filter(paused_at=None).values_list("queue", flat=True)
    assert set(going_on) == set(settings.QUEUES) - {QUEUE}
    acts = Operation.objects.order_by("id").values_list("action", "actor")
    assert list(acts) == [("queue.pause", "alice")] * 2 + [("queue.resume", "alice")]


def test_a_queue_that_left_the_table_is_neither_paused_nor_changed(operator: Client) -> None:
    QueueControl.objects.create(queue="letters")

    for action in ("pause", "resume"):
        page = operator.post(QUEUES, form(action, "letters", QUEUE), follow=True).content.decode()
        assert "The queues are: notifications, feeds, events" in page
    refused = operator.post(change("letters"), FORM | {"concurrency": "9"})

    assert refused.status_code == 403
    acts = Operation.objects.order_by("id").values_list("action", "details__queue")
    assert list(acts) == [("queue.pause", QUEUE), ("queue.resume", QUEUE)]
    assert QueueControl.objects.get(queue="letters").concurrency is None


def test_a_purge_asks_first_and_tells_what_is_left(operator: Client, in_hand: list[int]) -> None:
    text_of(operator, QUEUES)

    asked = operator.post(QUEUES, form("purge", QUEUE)).content.decode()
    unchanged = states_in(QUEUE)["discarded"]
    done = operator.post(QUEUES, form("purge", QUEUE, post="yes"), follow=True).content.decode()

    assert "Discard all waiting deliveries of notifications?" in asked
    assert re.search(r"probe\.write</th><td>4</td>", asked)
    assert "2 more are held by workers" in asked
    assert 'value="Yes, discard 4"' in asked
    assert unchanged == 0
    assert "3 deliveries discarded." in done
    assert states_in(QUEUE)["discarded"] == 3
    act = Operation.objects.get()
    assert (act.action, act.actor, act.count) == ("queue.purge", "alice", 3)


def test_a_purge_of_two_queues_adds_up_a_handler_that_is_in_both(
    operator: Client, six: list[int]
) -> None:
    text_of(operator, QUEUES)
    Delivery.objects.filter(id__in=six[:2]).update(queue="feeds")
    Delivery.objects.filter(handler="probe.call").delete()

    page = operator.post(QUEUES, form("purge", QUEUE, "feeds")).content.decode()

    assert re.search(r"probe\.write</th><td>6</td>", page)
    assert 'value="Yes, discard 6"' in page


def test_operators_retry_what_waits_for_its_time(operator: Client, six: list[int]) -> None:
    text_of(operator, QUEUES)
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(id__in=six).update(state="retry", due_at=later)

    operator.post(DELIVERIES, form("retry_now", six[0]))
    one = Delivery.objects.filter(due_at=later).count()
    operator.post(QUEUES, form("retry_now", QUEUE))

    assert one == 5
    assert not Delivery.objects.filter(due_at=later).exists()


def test_waiting_deliveries_are_discarded_once_that_is_confirmed(
    operator: Client, six: list[int]
) -> None:
    asked = operator.post(DELIVERIES, form("discard_waiting", *six[:2])).content.decode()
    unchanged = states_in(QUEUE)["discarded"]
    operator.post(DELIVERIES, form("discard_waiting", *six[:2], post="yes"))

    assert 'value="Yes, discard 2"' in asked
    assert all(f'name="_selected_action" value="{id}"' in asked for id in six[:2])
    assert unchanged == 0
    left = Delivery.objects.filter(queue=QUEUE, state="queued").order_by("id")
    assert list(left.values_list("id", flat=True)) == six[2:]


def test_the_form_changes_numbers_at_once(operator: Client) -> None:
    text_of(operator, QUEUES)

    operator.post(change("feeds"), FORM | {"rate_limit": "100", "concurrency": "3"})

    control = QueueControl.objects.get(queue="feeds")
    assert (control.rate_limit, control.concurrency, control.rate_seconds) == (100, 3, None)
    act = Operation.objects.get()
    assert (act.action, act.actor) == ("queue.tune", "alice")
    assert act.details == {"queue": "feeds", "rate_limit": "100", "concurrency": "3"}


def test_the_form_says_what_can_not_be(operator: Client) -> None:
    text_of(operator, QUEUES)

    text = operator.post(change("feeds"), FORM | {"concurrency": "0"}).content.decode()

    assert "The concurrency is at least 1; pause the queue instead." in text
    assert QueueControl.objects.get(queue="feeds").concurrency is None


def test_states_are_told_by_word_sign_and_class(operator: Client, six: list[int]) -> None:
    Delivery.objects.filter(id=six[0]).update(state="dead", due_at=None, finished_at=timezone.now())
    actions.pause("feeds", actor="alice")

    deliveries, queues = text_of(operator, DELIVERIES), text_of(operator, QUEUES)

    assert (
        '<span class="state state-dead"><span aria-hidden="true">✕</span> Dead</span>' in deliveries
    )
    assert (
        '<span class="state state-paused"><span aria-hidden="true">‖</span> paused</span>' in queues
    )
    titles = re.findall(r'class="(?:sortable )?column-(\w+)', queues)
    assert titles[:4] == ["queue", "state", "column", "oldest"]


def test_attempts_that_failed_alike_are_folded_below_the_last_with_the_cause_first(
    operator: Client, six: list[int]
) -> None:
    for number in (1, 2, 3):
        error = f'Traceback\n  File "a.py", line {7 if number < 3 else 8}\nValueError: no {number}'
        Attempt.objects.create(delivery_id=six[0], number=number, worker="w", error=error)
    Attempt.objects.create(delivery_id=six[0], number=4, worker="w", error="Traceback\nKeyError: x")

    page = text_of(operator, reverse("admin:eventbook_delivery_change", args=[six[0]]))

    assert page.index("KeyError: x") < page.index("ValueError: no 3")
    assert page.count("<details open>") == 2
    assert page.count("The same as attempt") == 2
    assert "operate/copy.js" in page


def test_the_first_page_says_what_needs_somebody(
    operator: Client, six: list[int], client: Client, staff: Staff
) -> None:
    Delivery.objects.filter(id=six[0]).update(state="dead", due_at=None, finished_at=timezone.now())

    shown = text_of(operator, "/admin/")
    hidden = text_of(staff("charlie", "view_user"), "/admin/")

    assert "Needs attention" in shown
    assert "1 of probe.write" in shown
    assert "Needs attention" not in hidden


def test_a_delivery_that_waits_has_its_buttons(
    operator: Client, viewer: Client, six: list[int]
) -> None:
    Delivery.objects.filter(id=six[0]).update(state="retry")
    address = reverse("admin:eventbook_delivery_change", args=[six[0]])

    assert 'value="retry_now"' in text_of(operator, address)
    assert 'value="discard_waiting"' in text_of(operator, address)
    assert 'value="discard_waiting"' not in text_of(viewer, address)


def test_processes_that_are_gone_are_told_from_those_that_live(db: None, staff: Staff) -> None:
    # The session's own workers tell of themselves, too.
    for group, age in (("relay", 3), ("feed-worker", 90)):
        process = Process.objects.create(group=group, host="elsewhere", pid=1, release="r")
        seen_at = timezone.now() - timedelta(seconds=age)
        Process.objects.filter(pk=process.pk).update(seen_at=seen_at)

    text = text_of(staff("alice", "view_process"), reverse("admin:eventbook_process_changelist"))

    rows = [row for row in text.split("<tr") if "elsewhere" in row]
    assert [re.findall(r'class="field-state[^>]*>(?:<a[^>]*>)?([^<]*)<', row) for row in rows] == [
        ["gone: seen 90 s ago"],
        ["seen 3 s ago"],
    ]
