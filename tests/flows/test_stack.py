"""The main job on the whole stack, and what happens when parts of it are killed under load."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from contextlib import closing
from itertools import count

import httpx
import psutil
import redis

from stack.embedded import Servers
from stack.local_secret import local_secret
from tests.flows.load import Load
from tests.flows.running_stack import Reader, RunningStack
from tests.harness.processes import wait_for

PROGRAMS = (
    "web",
    "relay",
    "notification-worker",
    "feed-worker",
    "event-worker",
    "beat",
    "exporter",
    "flower",
    "valkey",
    "postgres",
)


def test_a_card_reaches_feed_notifications_and_flower(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair

    answer = author.add("https://example.org/first")

    assert answer.status_code == 201
    wait_for(
        lambda: follower.feed() == follower.notified() == {"https://example.org/first"},
        seconds=10,
        what="the card is in feed and notifications",
    )

    # Flower asks the workers for their tasks every five seconds, and shows those from then on.
    numbers = count()

    def is_shown() -> bool:
        author.add(f"https://example.org/watched/{next(numbers)}")
        time.sleep(0.3)
        return {"feeds.fan_out", "notifications.notify_card_added"} <= stack.tasks_in_flower()

    wait_for(is_shown, seconds=20, what="Flower shows the tasks by their handlers' names")


def test_without_the_broker_cards_are_added_and_arrive_when_it_is_back(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair
    urls = {f"https://example.org/outage/{number}" for number in range(20)}

    stack.control("stop", "valkey")
    try:
        codes = Counter(author.add(url).status_code for url in urls)
        ready = author.http.get(f"http://127.0.0.1:{stack.port}/readyz").status_code
    finally:
        stack.control("start", "valkey")

    assert (codes, ready) == (Counter({201: 20}), 200)
    wait_for(
        lambda: follower.feed() == follower.notified() == urls,
        seconds=60,
        what="every card arrives without anyone doing anything",
    )


def test_a_broker_that_forgets_everything_under_load_loses_nothing(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair
    load = Load(author)

    load.start()
    with closing(redis.Redis.from_url(Servers(stack.data).unix_url)) as broker:
        for _ in range(10):
            before = load.answered
            wait_for(lambda: load.answered > before + 5, seconds=30, what="cards are added")  # noqa: B023
            broker.flushall()
    load.finish()
    stack.wait_until_delivered(seconds=60)

    assert set(load.codes) == {201}
    assert follower.feed() == follower.notified() == load.added


def test_a_broker_that_hangs_does_not_touch_the_api(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair
    load = Load(author)
    frozen = stack.pid("valkey")

    os.kill(frozen, signal.SIGSTOP)
    try:
        load.start()
        wait_for(lambda: load.answered >= 200, seconds=30, what="cards are added as ever")
    finally:
        os.kill(frozen, signal.SIGCONT)
    load.finish()

    assert set(load.codes) == {201}
    stack.wait_until_delivered(seconds=60)
    assert follower.feed() == follower.notified() == load.added


def test_whatever_is_killed_nothing_is_lost_or_doubled(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair
    load = Load(author)

    load.start()
    for program in PROGRAMS:
        before = load.answered
        kill(stack.pid(program))
        wait_for(lambda: stack.pid(program), seconds=30, what=f"{program} is started again")  # noqa: B023
        wait_for(
            lambda: load.answered >= before + 20,  # noqa: B023
            seconds=60,
            what=f"cards are added again after {program} was killed",
        )
    for program in ("notification-worker", "feed-worker"):
        wait_for(lambda: children(stack, program), seconds=30, what="it has children again")  # noqa: B023
        kill(children(stack, program)[0].pid)
    before = load.answered
    kill(stack.supervisor())
    wait_for(lambda: load.answered >= before + 20, seconds=90, what="everything runs again")
    load.finish()
    stack.wait_until_delivered(seconds=90)

    assert set(load.codes) <= {201, 503}, load.codes
    assert stack.rows("SELECT DISTINCT state FROM eventbook_delivery") == [("done",)]
    mine = "SELECT count(*) FROM cards_card JOIN accounts_user u ON u.id = curator_id"
    assert stack.rows(f"{mine} WHERE u.username = %s", author.name) == [(len(load.added),)]
    assert follower.feed() == follower.notified() == load.added
    assert len(follower.results("/notifications/")) == len(load.added)


def test_the_operators_commands_find_all_well(stack: RunningStack) -> None:
    findings = stack.manage("doctor")
    status = stack.manage("queues", "status")

    assert "BAD" not in findings
    assert all(queue in status for queue in ("notifications", "feeds", "events"))


def test_the_admin_leads_to_flower(stack: RunningStack) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", follow_redirects=True) as browser:
        form = browser.get("/admin/").text
        token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        password = local_secret(stack.data, "admin_password")
        fields = {"csrfmiddlewaretoken": token[1], "username": "admin", "password": password}
        home = browser.post("/admin/login/?next=/admin/", data=fields).text

    address = f"http://127.0.0.1:{stack.flower_port}/"
    assert f'<a href="{address}">Flower</a>' in home
    assert httpx.get(address).status_code == 401
    assert httpx.get(f"{address}healthcheck").text == "OK"


def children(stack: RunningStack, program: str) -> list[psutil.Process]:
    """These are the processes in which a worker group runs handlers."""
    pid = stack.pid(program)
    return psutil.Process(pid).children() if pid else []


def kill(pid: int) -> None:
    """Kill one process with SIGKILL."""
    assert pid > 1
    os.kill(pid, signal.SIGKILL)
