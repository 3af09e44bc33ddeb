"""What operators have: commands, the admin, metrics, results, and processes that stop in peace."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import F, Q
from django.test import Client
from django.urls import reverse
from django_celery_results.models import TaskResult

from eventbook.beat.schedule import record_due_slots, schedules
from eventbook.models import Delivery, Event, Operation
from tests.conftest import Drain
from tests.harness.processes import end, killed_on_failure, launch, wait_for
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)


def printed(*arguments: str) -> str:
    """Run a management command, and return its output."""
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def dead(drain: Drain) -> Delivery:
    """A dead letter, and a delivery that is done."""
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="bad", behaviour="raise"))
        probe_sent.send(sender=None, event=ProbeSent(key="good"))
    drain()
    return Delivery.objects.get(handler="probe.write", state="dead")


def test_status_counts_what_is_done_and_dead(dead: Delivery) -> None:
    status = json.loads(printed("queues", "status", "--json"))

    rows = {row["queue"]: row for row in status["queues"]}
    assert (rows["notifications"]["done"], rows["notifications"]["dead"]) == (1, 1)
    assert rows["notifications"]["waiting"] == 0
    assert rows["notifications"]["p50_ms"] > 0
    assert status["relay_lag_seconds"] == 0
    assert "notifications" in printed("queues", "status")


def test_dead_letters_are_listed_with_their_reason(dead: Delivery) -> None:
    (letter,) = json.loads(printed("dead-letters", "list", "--queue", "notifications", "--json"))

    assert (letter["id"], letter["type"], letter["attempts"]) == (dead.id, "probe.sent", 3)
    assert "Refused: bad" in letter["error"]
    assert "Refused: bad" in printed("dead-letters", "list", "--handler", "probe.write")


def test_dead_letters_are_not_touched_unless_it_is_said_which(dead: Delivery) -> None:
    with pytest.raises(CommandError, match="Give ids"):
        printed("dead-letters", "discard")

    dead.refresh_from_db()
    assert dead.state == "dead"


def test_an_act_on_dead_letters_is_written_down(dead: Delivery) -> None:
    printed("dead-letters", "discard", str(dead.id))

    dead.refresh_from_db()
    assert dead.state == "discarded"
    act = Operation.objects.get()
    assert (act.action, act.actor, act.count) == ("dead_letters.discard", "command line", 1)


def test_replay_names_the_handlers_when_it_does_not_know_one(dead: Delivery) -> None:
    with pytest.raises(CommandError, match=r"The handlers are: .*probe\.write"):
        printed("replay", "--handler", "probe.unheard_of")


def test_replay_of_one_event_delivers_that_one(dead: Delivery, drain: Drain) -> None:
    good = Event.objects.get(subject="probes/good")

    text = printed("replay", "--handler", "probe.write", "--event", str(good.id))
    drain()

    assert "1 deliveries" in text
    assert Effect.objects.filter(event_id=good.id, handler="probe.write").count() == 2


def test_the_doctor_finds_dead_letters_and_says_what_to_do(dead: Delivery) -> None:
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)

    findings = {finding["subject"]: finding for finding in json.loads(out.getvalue())}
    letters = findings["dead letters of notifications"]
    assert not letters["well"]
    assert "dead-letters replay --queue notifications" in letters["advice"]
    assert all(findings[f"workers of {queue}"]["well"] for queue in ("notifications", "feeds"))


def test_staff_replay_dead_letters_in_the_admin(dead: Delivery, drain: Drain, alice: Any) -> None:
    staff = admin_client(alice)
    action = {"action": "replay_dead", "_selected_action": [dead.id]}
    died_before = Delivery.objects.filter(id=dead.id, finished_at__lte=dead.finished_at)

    page = staff.post(reverse("admin:eventbook_delivery_changelist"), action, follow=True)

    assert "1 dead letters will be delivered again" in page.content.decode()
    assert Operation.objects.get().actor == "alice"
    drain()
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == ("dead", 3)
    assert not died_before.exists()  # it was delivered again, and failed as often again


def test_every_list_of_the_admin_opens(dead: Delivery, alice: Any) -> None:
    from django.contrib import admin

    staff = admin_client(alice)

    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert staff.get(reverse(name)).status_code == 200, name
    for model, key in ((Delivery, dead.pk), (Event, dead.event_id)):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        page = staff.get(reverse(name, args=[key]))
        assert page.status_code == 200, name
    assert "&quot;specversion&quot;: &quot;1.0&quot;" in page.content.decode()


def admin_client(user: Any) -> Client:
    """Return a browser in which the user is logged in as an administrator."""
    user.is_staff = user.is_superuser = True
    user.save()
    client = Client()
    client.force_login(user)
    return client


def test_metrics_have_the_figures_of_every_queue(dead: Delivery) -> None:
    text = Client().get("/metrics").content.decode()

    assert 'dead_letters{queue="notifications"} 1.0' in text
    assert 'queue_depth{queue="feeds"} 0.0' in text
    assert "relay_lag_seconds 0.0" in text


def test_with_a_token_only_who_knows_it_reads_the_metrics(settings: Any) -> None:
    settings.METRICS_TOKEN = "known-to-prometheus"

    refused = Client().get("/metrics", headers={"Authorization": "Bearer guessed"})
    allowed = Client().get("/metrics", headers={"Authorization": "Bearer known-to-prometheus"})

    assert (refused.status_code, allowed.status_code) == (401, 200)


def test_maintenance_keeps_its_results_and_the_event_path_none(
    dead: Delivery, drain: Drain
) -> None:
    record_due_slots()
    drain()

    kept = TaskResult.objects.filter(task_name="eventbook.prune", status="SUCCESS")
    wait_for(kept.exists, seconds=10, what="the result is kept")
    assert set(TaskResult.objects.values_list("task_name", flat=True)) == {
        name for name, known in schedules.items() if known.timing.starts_at_once
    }


def test_maintenance_that_fails_keeps_the_reason(drain: Drain) -> None:
    record_due_slots()
    Event.objects.filter(type="eventbook.prune.due").update(data="{}")

    drain()

    failed = Q(status="FAILURE") | Q(status="RETRY")
    kept = TaskResult.objects.filter(failed, task_name="eventbook.prune").order_by("id")
    wait_for(lambda: kept.count() == 3, seconds=10, what="the results are kept")
    told = [(each.status, json.loads(each.result)["exc_message"][0]) for each in kept]
    id = Delivery.objects.get(handler="eventbook.prune").id
    assert told == [
        (status, f"1 of 1 deliveries failed: {id} {state} (ValidationError)")
        for status, state in (("RETRY", "retry"), ("RETRY", "retry"), ("FAILURE", "dead"))
    ]


def test_pruning_keeps_the_newest_and_all_that_is_not_done(
    dead: Delivery, drain: Drain, settings: Any
) -> None:
    import dataclasses

    from eventbook.store.retention import prune

    policy = settings.QUEUES["notifications"]
    settings.QUEUES = settings.QUEUES | {"notifications": dataclasses.replace(policy, keep_done=2)}
    with transaction.atomic():
        for number in range(5):
            probe_sent.send(sender=None, event=ProbeSent(key=f"more-{number}"))
    drain()

    recent = prune()
    Delivery.objects.filter(state="done").update(finished_at=F("finished_at") - timedelta(hours=2))
    pruned = prune()

    assert recent["notifications"] == 0
    assert pruned["notifications"] == 4
    kept = Delivery.objects.filter(handler="probe.write").order_by("id")
    assert list(kept.values_list("state", flat=True)) == ["dead", "done", "done"]
    assert Event.objects.count() == 7


def test_the_relay_stops_in_peace(transactional_db: None, tmp_path: Path) -> None:
    log = tmp_path / "relay.log"
    relay = launch("relay", log=log)
    with killed_on_failure(relay):
        wait_for(lambda: "relay.started" in log.read_text(), seconds=20, what="the relay runs")

    code = end(relay, seconds=10)

    assert code == 0
    assert "relay.stopped" in log.read_text()


def test_a_worker_command_follows_the_queue_table() -> None:
    from eventbook.declare.queues import policy_of
    from eventbook.operate.management.commands.worker import worker_options

    options = worker_options([policy_of("feeds")])

    assert options["queues"] == ["feeds"]
    assert options["concurrency"] == policy_of("feeds").concurrency


def test_a_queue_that_does_not_exist_has_no_worker() -> None:
    with pytest.raises(CommandError, match="The queues are: notifications, feeds, events"):
        printed("worker", "letters")
