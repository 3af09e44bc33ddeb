"""A database that stops, loses its connections, does not answer, or has none left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx
import psycopg
import pytest

from tests.faults.judge import judge
from tests.faults.load import Load, kill_connections, wait_for_more
from tests.faults.report import Report
from tests.faults.sizes import KILLS
from tests.faults.world import World
from tests.harness.processes import wait_for

TICKS = """
from django.db import transaction
from django.utils import timezone
from eventbook.beat.schedule import Schedule, schedules
with transaction.atomic():
    for name in ("eventbook.audit", "eventbook.prune", "imports.refresh_due"):
        schedule = schedules[name]
        schedule.signal.send(sender=Schedule, event=schedule.event(slot=str(timezone.now())))
"""


def test_postgres_stopped_immediately_and_restarted(world: World, report: Report) -> None:
    load = Load(world)
    times = max(2, KILLS // 4)
    did = f"stopped immediately, 2 s away, {times} times"
    with report.case("7 PostgreSQL restarted", did=did) as case:
        load.start()
        for _ in range(times):
            time.sleep(0.5)
            world.stop_postgres_immediately()
            answer = timed_post(world, load)
            time.sleep(2)
            world.start_servers()
        load.finish()
        case.recovered(world.wait_recovered())

        assert_unavailable(*answer)
        assert set(load.codes) <= {200, 201, 204, 503}
        case.judged(judge(world, load))


def test_maintenance_that_comes_right_after_a_restart_of_postgres_runs(
    world: World, report: Report
) -> None:
    # Celery writes down that a task has begun before its body can look at the connection.
    with report.case("7 maintenance after a restart", did="3 restarts, 3 ticks each") as case:
        record_ticks(world)
        wait_for(lambda: results(world) == {"SUCCESS"}, seconds=30, what="maintenance runs")
        for _ in range(3):
            world.servers.postgres.stop()
            world.start_servers()
            world.rows("DELETE FROM django_celery_results_taskresult")
            record_ticks(world)
            case.recovered(world.wait_recovered(seconds=30))
            wait_for(lambda: results(world), seconds=10, what="results are written")

            assert results(world) == {"SUCCESS"}
    assert "worker.failing" not in world.process("event-worker").output()


def record_ticks(world: World) -> None:
    """Record that maintenance is due, as beat does."""
    world.manage("shell", "--no-imports", "-c", TICKS)


def results(world: World) -> set[str]:
    """These are the ends of all maintenance, as Celery wrote them down."""
    return {state for (state,) in world.rows("SELECT status FROM django_celery_results_taskresult")}


def test_connections_killed(world: World, report: Report) -> None:
    load = Load(world)
    with report.case("7 connections killed", did=f"all of them, {KILLS} times") as case:
        kill_connections(world, load)
        case.recovered(world.wait_recovered())
        case.judged(judge(world, load))


def test_the_reply_to_a_commit_is_cut_off(world: World, report: Report) -> None:
    load = Load(world, operations=60, kinds=["page", "note", "probe"])
    link = world.process("web").database
    with report.case("7 reply to COMMIT cut off", did="POST repeated with its key") as case:
        cut = 0
        load.start()
        while any(author.is_alive() for author in load.authors):
            link.cut_reply_to(b"COMMIT")
            cut += link.swallowed.wait(1)
            time.sleep(0.15)  # or the repetition's would be cut off, too, without end
        load.finish()
        link.pass_on()
        case.recovered(world.wait_recovered())

        assert cut >= 5, "hardly any commit was cut off: the test tested nothing"
        case.judged(judge(world, load))


LONG = pytest.mark.long
WAYS = ["stopped", "frozen", *(pytest.param(how, marks=LONG) for how in ("refused", "blackholed"))]


@pytest.mark.parametrize("how", WAYS)
def test_without_its_database_the_api_says_so_soon(world: World, report: Report, how: str) -> None:
    load = Load(world, operations=3)
    with report.case(f"7 PostgreSQL {how}", did="503 with Retry-After within 5 s") as case:
        load.run()
        break_database(world, how)
        try:
            answers = [timed_post(world, load) for _ in range(4)]
            ready, _ = timed(lambda http: http.get(f"{world.url()}/readyz"))
            alive, _ = timed(lambda http: http.get(f"{world.url()}/healthz"))
        finally:
            mend_database(world, how)
        wait_for(lambda: timed_post(world, load)[0].status_code == 201, seconds=30, what="it heals")
        case.recovered(world.wait_recovered(seconds=30))

        for answer in answers:
            assert_unavailable(*answer)
        assert (ready.status_code, alive.status_code) == (503, 200)


def timed_post(world: World, load: Load) -> tuple[httpx.Response, float]:
    """Add a note; return the response and the seconds it took."""
    headers = {"Authorization": f"Token {load.tokens['alice']}"}
    body = {"type": "NOTE", "text": "meanwhile"}
    address = f"{world.url()}/api/v1/cards/"
    return timed(lambda http: http.post(address, json=body, headers=headers))


def timed(ask: Callable[[httpx.Client], httpx.Response]) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    with httpx.Client(timeout=30) as http:
        answer = ask(http)
    return answer, time.monotonic() - began


def assert_unavailable(answer: httpx.Response, seconds: float) -> None:
    """Assert that the client was quickly asked to retry later."""
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert seconds < 5


def break_database(world: World, how: str) -> None:
    """Cut all processes off from the database."""
    if how == "stopped":
        world.stop_postgres_immediately()
    elif how == "frozen":
        for process in world.postgres_processes():
            process.suspend()
    else:
        link = world.process("web").database
        link.refuse() if how == "refused" else link.blackhole()


def mend_database(world: World, how: str) -> None:
    """Make the server reachable again."""
    if how == "stopped":
        world.start_servers()
    elif how == "frozen":
        for process in world.postgres_processes():
            process.resume()
    else:
        world.process("web").database.pass_on()


def test_the_connection_pool_is_exhausted(world: World, report: Report) -> None:
    web = world.process("web")
    with report.case("8 pool exhausted", did="2 connections, 16 requests that wait") as case:
        web.stop()
        web.start(DATABASE_POOL_SIZE="2", WEB_THREADS="16", WEB_PROCESSES="1")
        load = Load(world, operations=3)
        load.run()
        world.wait_recovered()
        codes, slowest = posts_while_locked(world, load)

        assert set(codes) == {503}
        assert slowest < 5
        again = Load(world, operations=3)
        world.reset_tables()
        again.run()
        case.recovered(world.wait_recovered(seconds=30))
        assert set(again.codes) <= {200, 201, 204}
        case.judged(judge(world, again))


def posts_while_locked(world: World, load: Load) -> tuple[Counter[int], float]:
    """Add notes while another session locks the table; return the statuses and the longest time."""
    codes: Counter[int] = Counter()
    seconds: list[float] = []

    def post() -> None:
        answer, took = timed_post(world, load)
        codes[answer.status_code] += 1
        seconds.append(took)

    with psycopg.connect(world.servers.database_url) as holder:
        holder.execute("LOCK TABLE cards_card IN ACCESS EXCLUSIVE MODE")
        threads = [threading.Thread(target=post) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return codes, max(seconds)


def test_the_server_has_no_connection_left(world: World, report: Report) -> None:
    load = Load(world, operations=None)
    with report.case("8 no connection left", did="max_connections held by others") as case:
        load.start()
        wait_for_more(load, 5)
        held = hold_all_connections(world)
        world.process("web").database.cut()

        def is_refused() -> bool:
            # Whoever else ends meanwhile leaves a connection, which must not go to the web.
            held.extend(hold_all_connections(world))
            return 503 in load.codes

        try:
            wait_for(is_refused, seconds=20, what="a request finds no connection")
        finally:
            for connection in held:
                connection.close()
        load.finish()
        case.recovered(world.wait_recovered(seconds=30))
        case.judged(judge(world, load))


def hold_all_connections(world: World) -> list[psycopg.Connection]:
    """Open connections until the server accepts no more."""
    held: list[psycopg.Connection] = []
    while True:
        try:
            held.append(psycopg.connect(world.servers.database_url, connect_timeout=5))
        except psycopg.OperationalError:
            return held
