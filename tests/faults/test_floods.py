"""More than anybody can do at once: floods of bulk work, and people with very many followers."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.faults.brokers import client_of
from tests.faults.load import AUTHORS, Load
from tests.faults.report import Report
from tests.faults.sizes import FLOOD, FOLLOWERS, FULL
from tests.faults.world import World
from tests.harness.processes import wait_for
from tests.library import CROWD

SLO_SECONDS = 5  # of the notifications queue (config/queues.py)


@pytest.mark.timeout(1200)
def test_a_flood_of_bulk_events_leaves_interactive_work_alone(world: World, report: Report) -> None:
    load = Load(world, operations=None, kinds=["page"])
    with (
        report.case("16 flood of bulk work", did=f"{FLOOD:,} events") as case,
        client_of(world.broker) as broker,
    ):
        load.start()
        memory = int(broker.info("memory")["used_memory"])
        highest = 0
        with httpx.Client(timeout=60) as http:
            for number in range(FLOOD // 1_000):
                url = f"{world.url()}/probe/?key=flood{number}&count=1000"
                http.post(url).raise_for_status()
                highest = max(highest, int(broker.info("memory")["used_memory"]))
        time.sleep(5)
        highest = max(highest, int(broker.info("memory")["used_memory"]))
        load.finish()
        case.recovered(world.wait_recovered(seconds=600))

        seconds = [float(row[0]) for row in world.rows(NOTIFIED)]
        assert len(seconds) > 20
        assert statistics.quantiles(seconds, n=100)[98] < SLO_SECONDS
        assert highest < memory + 20_000_000
        assert world.rows("SELECT count(*), count(DISTINCT key) FROM probe_effect") == [
            (FLOOD, FLOOD)
        ]
        assert set(load.codes) == {201}


# From the commit of a card to its followers' notifications, in seconds.
NOTIFIED = """
    SELECT extract(epoch FROM finished_at - recorded_at)::float FROM eventbook_delivery
    WHERE handler = 'notifications.notify_card_added' AND state = 'done'
"""


@pytest.mark.timeout(1200)
def test_an_author_with_very_many_followers(world: World, report: Report) -> None:
    with report.case("19 celebrity", did=f"{FOLLOWERS:,} followers, workers killed") as case:
        load = Load(world, operations=2, kinds=["page"])
        load.run()
        world.wait_recovered()
        [(alice_id,)] = world.rows("SELECT id FROM accounts_user WHERE username = 'alice'")
        world.rows(CROWD, FOLLOWERS, alice_id)
        world.rows("ANALYZE accounts_follow")
        alice, bob = ({"Authorization": f"Token {load.tokens[name]}"} for name in ("alice", "bob"))
        body = {"type": "URL", "url": "https://example.org/celebrated"}
        workers = [world.process(name) for name in ("notification-worker", "feed-worker")]
        before = max(worker.memory() for worker in workers)

        httpx.post(f"{world.url()}/api/v1/cards/", json=body, headers=alice).raise_for_status()
        wait_for(lambda: world.rows(PARTS)[0][0] > 3, seconds=60, what="some parts are done")
        for worker in workers:
            worker.kill()
        with others_working(world, load) as seconds:
            case.recovered(world.wait_recovered(seconds=300))

        assert world.rows(TOLD) == [(FOLLOWERS + 2, FOLLOWERS + 2)]
        # Feeds find the card when they are read.
        assert world.rows("SELECT curator_id FROM feeds_mergedcurator") == [(alice_id,)]
        feed = httpx.get(f"{world.url()}/api/v1/feeds/following/", headers=bob).json()["results"]
        assert [card["url"] for card in feed].count(body["url"]) == 1
        assert world.rows(PARTS)[0][1] == 0
        assert max(worker.memory() for worker in workers) < before + 100_000_000
        assert statistics.median(seconds) < (1 if FULL else SLO_SECONDS), seconds


TOLD = """
    SELECT count(*), count(DISTINCT recipient_id) FROM notifications_notification
    JOIN cards_card card ON card.id = card_id JOIN pages_url url ON url.id = url_id
    WHERE canonical = 'https://example.org/celebrated'
"""
PARTS = """
    SELECT count(*) FILTER (WHERE state = 'done'), count(*) FILTER (WHERE state <> 'done')
    FROM eventbook_delivery WHERE part > 0
"""


@contextmanager
def others_working(world: World, load: Load) -> Iterator[list[float]]:
    """Let another user save pages meanwhile; return the seconds from commit to both effects."""
    ended = threading.Event()
    seconds: list[float] = []

    def work() -> None:
        headers = {"Authorization": f"Token {load.tokens[AUTHORS[1]]}"}
        with httpx.Client(timeout=30) as http:
            for number in range(10_000):
                if ended.is_set():
                    return
                body = {"type": "URL", "url": f"https://example.org/other/{number}"}
                http.post(f"{world.url()}/api/v1/cards/", json=body, headers=headers)
                time.sleep(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seconds
    finally:
        ended.set()
        thread.join()
        world.wait_recovered(seconds=60)
        seconds += [float(row[0]) for row in world.rows(OTHERS)]


OTHERS = """
    SELECT extract(epoch FROM finished_at - delivery.recorded_at)::float
    FROM eventbook_delivery delivery JOIN eventbook_event event ON event.id = event_id
    JOIN cards_card card ON event.subject = 'cards/' || card.id
    JOIN pages_url url ON url.id = url_id
    WHERE canonical LIKE 'https://example.org/other/%'
"""
