"""What operators see in Flower, and who may: on a real Flower, with real workers and broker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from celery import current_app
from django.conf import settings
from django.test import Client
from django_celery_results.models import TaskResult

from eventbook.brokers.broker import Broker
from eventbook.models import Delivery, Event
from eventbook.operate import actions
from eventbook.record.outbox import Priority
from eventbook.relay.relay import Relay
from eventbook.testing import without_consumers
from tests.conftest import Drain
from tests.flows.flowers import LOGIN, Flower
from tests.flows.outside import proxy_to, serving
from tests.harness.processes import Workers, wait_for
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def flower(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """A Flower behind the prefix /flower, with a login by name and password."""
    running = Flower(
        tmp_path_factory.mktemp("flower"),
        FLOWER_BASIC_AUTH=":".join(LOGIN),
        FLOWER_URL_PREFIX="/flower",
    )
    running.start()
    current_app.control.enable_events(reply=True, timeout=2)
    yield running
    running.stop()
    running.broker.close()
    current_app.control.disable_events(reply=True, timeout=2)


@pytest.fixture
def proxy(flower: Flower) -> Iterator[str]:
    """The address of a reverse proxy in front of it."""
    with serving(proxy_to(f"http://127.0.0.1:{flower.port}")) as address:
        yield address


def finished(flower: Flower, name: str, count: int) -> list[dict[str, Any]]:
    """Wait until Flower shows this many tasks of existing deliveries, and return them."""
    events = [str(id) for id in Event.objects.values_list("id", flat=True)]

    def shown() -> list[dict[str, Any]]:
        tasks = flower.tasks(name)
        return [
            task
            for task in tasks
            if any(event in task["args"] for event in events)
            and task["state"] in ("SUCCESS", "FAILURE", "RETRY")
        ]

    wait_for(lambda: len(shown()) == count, seconds=10, what=f"Flower shows {count} × {name}")
    return shown()


def test_a_failing_delivery_fails_its_task_which_says_what_became_of_all(
    flower: Flower, drain: Drain, workers: Workers
) -> None:
    before = len(workers.log.read_text())
    send("canary-of-alice", behaviour="raise")
    send("good-1", "good-2", "good-3")

    drain()

    dead = Delivery.objects.get(handler="probe.write", state="dead")
    tasks = finished(flower, "probe.write", count=3)
    assert [(task["state"], task["exception"]) for task in tasks] == [
        ("RETRY", told(f"1 of 4 deliveries failed: {dead.id} retry (Refused); 3 done")),
        ("RETRY", told(f"1 of 1 deliveries failed: {dead.id} retry (Refused)")),
        ("FAILURE", told(f"1 of 1 deliveries failed: {dead.id} dead (Refused)")),
    ]
    assert tasks[0]["args"].startswith("probe.sent × 4 (")
    assert (dead.attempts, Delivery.objects.filter(state="done").count()) == (3, 6)
    # The event path has no results, and its errors are logged once, by us.
    assert not TaskResult.objects.filter(task_name="probe.write").exists()
    log = workers.log.read_text()[before:]
    assert (log.count("delivery.failed"), log.count("delivery.dead")) == (4, 2)
    assert "raised unexpected" not in log


def told(message: str) -> str:
    """Return the exception as Celery shows it."""
    return f"DeliveriesFailed('{message}')"


def test_what_a_task_did_is_shown_and_tasks_that_put_all_off_are_not(
    flower: Flower, drain: Drain
) -> None:
    actions.tune("feeds", actor="test", changes={"rate_limit": 1, "rate_seconds": 3_600})
    relay = Relay()
    ours = Delivery.objects.filter(handler="probe.call")
    for number, (state, count) in enumerate([("done", 1), ("retry", 1), ("retry", 2)]):
        send(f"put-off-{number}")
        wait_for(
            lambda state=state, count=count: (  # type: ignore[misc]
                relay.step() is not None and ours.filter(state=state).count() == count
            ),
            seconds=10,
            what=f"{count} are {state}",
        )
    actions.tune("feeds", actor="test", changes={"rate_limit": None, "rate_seconds": None})
    drain()

    wait_for(
        lambda: sum(done_by(task) for task in flower.tasks("probe.call")) >= 3,
        seconds=10,
        what="Flower shows what was done",
    )
    results = [task["result"] for task in flower.tasks("probe.call")]
    assert not [result for result in results if result and "done" not in result]
    assert "result" in flower.get("tasks").text


def done_by(task: dict[str, Any]) -> int:
    """Return how many deliveries a task did, as its result tells."""
    return int(re.sub(r".*'done': (\d+).*", r"\1", task["result"] or "'done': 0"))


def test_the_broker_page_says_what_waits_in_postgresql(flower: Flower) -> None:
    with without_consumers("feeds"):
        send("waits-1", "waits-2")
        before = flower.get("broker").text
        relay = Relay()
        open_ = Delivery.objects.filter(queue="feeds", due_at__isnull=False)
        wait_for(lambda: relay.step() and open_.count() == 2, seconds=10, what="two are open")
        after = flower.get("broker").text

    assert "2 events in the outbox" in before
    assert "2 of feeds" in after
    assert "queues status" in after


def test_a_batch_whose_connection_breaks_is_a_failed_task_and_costs_no_attempt(
    flower: Flower, drain: Drain, workers: Workers
) -> None:
    before = len(workers.log.read_text())
    send("canary-of-alice", behaviour="hang_up_once")

    drain()

    broken, delivered = finished(flower, "probe.write", count=2)
    told_of_it = "The batch broke off (OperationalError); its deliveries will be retried."
    assert broken["exception"] == f"BrokenOff('{told_of_it}')"
    assert delivered["state"] == "SUCCESS"
    delivery = Delivery.objects.get(handler="probe.write")
    assert (delivery.state, delivery.attempts) == ("done", 0)
    log = workers.log.read_text()[before:]
    assert (log.count("batch.broken_off"), log.count("raised unexpected")) == (1, 0)


def test_nothing_that_people_wrote_is_shown(flower: Flower, drain: Drain) -> None:
    send("canary-of-alice")
    send("canary-of-bob", behaviour="raise")
    drain()
    tasks = [
        *finished(flower, "probe.write", count=3),
        *finished(flower, "probe.call", count=3),
    ]

    pages = [flower.get("api/tasks").text, flower.get("metrics").text]
    pages += [flower.get(f"task/{task['uuid']}").raise_for_status().text for task in tasks]

    assert "DeliveriesFailed" in "".join(pages)
    assert "canary" not in "".join(pages)


def test_a_succeeding_task_shows_type_count_and_first_events(flower: Flower, drain: Drain) -> None:
    send("a", "b", "c", "d")

    drain()

    (task,) = finished(flower, "probe.write", count=1)
    first = list(Event.objects.order_by("id").values_list("id", flat=True)[:3])
    assert task["args"] == f"probe.sent × 4 ({first[0]}, {first[1]}, {first[2]}, …)"
    assert (task["state"], task["result"], task["kwargs"]) == ("SUCCESS", "{'done': 4}", "")


def test_both_lanes_of_every_queue_are_counted_though_nobody_works_on_it(
    flower: Flower, drain: Drain
) -> None:
    relay = Relay()
    with without_consumers("feeds"):
        wait_for(lambda: "feeds" not in worked_on(flower), seconds=10, what="Flower knows")
        send("interactive")
        send("bulk", priority=Priority.BULK)
        wait_for(lambda: lanes(relay.broker) == [1, 1] or relay.step(), seconds=10, what="2 wait")

        lengths = flower.get("api/queues/length").json()["active_queues"]
        page = flower.get("broker").text

    found = {queue["name"]: queue["messages"] for queue in lengths}
    assert found == dict.fromkeys(settings.QUEUES, 0) | {"feeds": 2}
    assert re.search(r"<td>feeds</td>\s*<td[^>]*>2</td>", page)
    relay.broker.close()
    drain()


def worked_on(flower: Flower) -> set[str]:
    """Return the queues that workers consume, according to Flower."""
    workers = workers_of(flower).values()
    return {queue["name"] for worker in workers for queue in worker["active_queues"]}


def lanes(broker: Broker) -> list[int]:
    """Return the number of messages in each lane of `feeds`."""
    return list(broker.depths(["feeds"]).values())


def test_workers_show_their_settings_without_secrets(flower: Flower, settings: Any) -> None:
    wait_for(lambda: "conf" in str(workers_of(flower)), seconds=10, what="workers are inspected")

    shown = workers_of(flower)

    (worker,) = shown.values()
    assert worker["conf"]["task_acks_late"] is True
    assert not {name for name in worker["conf"] if name.isupper()} - {"CELERY_DB_REUSE_MAX"}
    assert settings.SECRET_KEY not in str(shown)
    assert current_app.conf.table()["broker_url"]


def workers_of(flower: Flower) -> dict[str, Any]:
    found: dict[str, Any] = flower.get("api/workers", params={"refresh": 1}).json()
    return found


def test_behind_a_proxy_every_page_link_and_file_has_the_prefix(flower: Flower, proxy: str) -> None:
    with httpx.Client(base_url=proxy, auth=LOGIN) as browser:
        entry = browser.get("/flower")
        pages = [browser.get(f"/flower/{page}") for page in ("", "workers", "tasks", "broker")]
        links = {
            link for page in pages for link in re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
        }
        answers = {link: browser.get(link).status_code for link in links}

    assert (entry.status_code, entry.headers["Location"]) == (302, "/flower/")
    assert {page.status_code for page in pages} == {200}
    assert {link for link in links if not link.startswith("/flower/")} == set()
    assert len(links) > 5
    assert {link for link, code in answers.items() if code != 200} == set()


def test_nobody_gets_anything_through_a_proxy_without_a_login(flower: Flower, proxy: str) -> None:
    pages = ("", "tasks", "broker", "api/tasks", "api/workers", "metrics", "healthcheck")

    without = {page: httpx.get(f"{proxy}/flower/{page}").status_code for page in pages}
    wrong = httpx.get(f"{proxy}/flower/metrics", auth=("operator", "guesses")).status_code
    right = {page: httpx.get(f"{proxy}/flower/{page}", auth=LOGIN).status_code for page in pages}

    assert without == dict.fromkeys(pages, 401)
    assert wrong == 401
    assert right == dict.fromkeys(pages, 200)


def test_a_check_on_the_machine_needs_no_login_and_the_metrics_do(flower: Flower) -> None:
    assert httpx.get(f"{flower.url}/healthcheck").text == "OK"
    assert httpx.get(f"{flower.url}/metrics").status_code == 401
    assert "flower_worker_online" in flower.get("metrics").text


def test_flower_shows_and_does_not_act(flower: Flower, workers: Workers) -> None:
    (worker,) = current_app.control.inspect(timeout=1).ping()

    answer = httpx.post(f"{flower.url}/api/worker/shutdown/{worker}", auth=LOGIN)

    assert answer.status_code == 403
    assert workers.process is not None
    assert workers.process.poll() is None


def test_a_restart_keeps_what_was_seen_though_the_broker_is_away_and_goes_on_when_it_is_back(
    flower: Flower, drain: Drain
) -> None:
    send("before")
    drain()
    seen = finished(flower, "probe.write", count=1)

    code = flower.stop()
    with flower.broker.broken("refuse"):
        flower.start()
        kept = finished(flower, "probe.write", count=1)
    Event.objects.all().delete()
    send("after")
    drain()

    assert (code, kept) == (0, seen)

    def is_shown() -> bool:
        send("once-more")
        drain()
        event = Event.objects.latest("id")
        return any(str(event.id) in task["args"] for task in flower.tasks("probe.write"))

    wait_for(is_shown, seconds=20, what="Flower sees tasks again")


def test_staff_reach_flower_from_the_admin(settings: Any, alice: Any) -> None:
    alice.is_staff = True
    alice.save()
    staff = Client()
    staff.force_login(alice)
    link = '<a href="https://flower.example.org/">Flower</a>'

    settings.FLOWER_URL = "https://flower.example.org/"
    shown = [link in page("/admin/") for page in (text_for(staff), text_for(Client()))]
    settings.FLOWER_URL = ""

    assert shown == [True, False]
    assert "Flower</a>" not in text_for(staff)("/admin/")


def text_for(browser: Client) -> Callable[[str], str]:
    return lambda path: browser.get(path, follow=True).content.decode()
