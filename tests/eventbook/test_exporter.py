"""The exporter: the same figures as the web's, and an answer in time whatever the database does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection, transaction

from tests.harness.links import Link, link_to_postgresql
from tests.harness.processes import (
    ROOT,
    end,
    environment,
    free_port,
    killed_on_failure,
    wait_for,
)
from tests.harness.scraping import parsed, scrape, value
from tests.harness.tools import tool
from tests.probe.signals import ProbeSent, probe_sent

PROMETHEUS = ROOT / "deploy" / "prometheus"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    """Return the link between the exporter and PostgreSQL."""
    link = link_to_postgresql()
    yield link
    link.close()


@pytest.fixture(scope="module")
def url(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory, link: Link
) -> Iterator[str]:
    """A running exporter."""
    log, port = tmp_path_factory.mktemp("exporter") / "exporter.log", free_port()
    name = connection.settings_dict["NAME"]
    own = {
        "EXPORTER_PORT": str(port),
        "DATABASE_URL": f"postgres://commonplace@127.0.0.1:{link.port}/{name}",
    }
    with log.open("ab") as output:
        exporter = subprocess.Popen(
            [sys.executable, "manage.py", "exporter"],
            cwd=ROOT,
            env=environment() | own,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with killed_on_failure(exporter):
        wait_for(
            lambda: "exporter.started" in log.read_text(), seconds=20, what="the exporter runs"
        )
    yield f"http://127.0.0.1:{port}"
    assert end(exporter, seconds=10) == 0
    assert "exporter.stopped" in log.read_text()


def test_the_exporter_tells_what_the_web_tells(url: str) -> None:
    answer = httpx.get(f"{url}/metrics").raise_for_status()

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    wait_for(
        # A process may have come between two looks; what differs for good is an error.
        lambda: set(parsed(httpx.get(f"{url}/metrics").text)) == set(scrape()),
        seconds=10,
        what="both tell of the same",
    )
    accept = {"Accept": "application/openmetrics-text"}
    assert httpx.get(f"{url}/metrics", headers=accept).text.endswith("# EOF\n")


def test_it_says_that_it_is_up_and_nothing_else(url: str) -> None:
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/").status_code == 404
    assert httpx.post(f"{url}/metrics").status_code == 405


def test_scrapes_at_the_same_time_share_one_collection(url: str) -> None:
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="waits"))
    wait_for(lambda: lag(url) > 0, seconds=5, what="the event is seen")

    with ThreadPoolExecutor(8) as pool:
        lags = set(pool.map(lambda _: lag(url), range(16)))

    # Another look would find the event older.
    assert len(lags) <= 1 + int(max(lags) - min(lags) + 1)


def lag(url: str) -> float:
    return value(parsed(httpx.get(f"{url}/metrics", timeout=30).text), "relay_lag_seconds")


@pytest.mark.parametrize("how", ["refuse", "blackhole"])
def test_without_the_database_every_scrape_is_answered_503_in_time(
    url: str, link: Link, how: str
) -> None:
    with link.broken(how), ThreadPoolExecutor(4) as pool:
        wait_for(lambda: code(url) == 503, seconds=12, what="it notices")
        began = time.monotonic()
        assert list(pool.map(code, [url] * 4)) == [503] * 4
        assert time.monotonic() < began + 9
        assert httpx.get(f"{url}/healthz").status_code == 200

    wait_for(lambda: code(url) == 200, seconds=5, what="it answers again")


def code(url: str) -> int:
    return httpx.get(f"{url}/metrics", timeout=30).status_code


def test_prometheus_itself_scrapes_it_and_evaluates_the_rules(url: str, tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "rules.yml", tmp_path)
    config = (PROMETHEUS / "prometheus.yml").read_text().replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(
        config.replace("exporter:9108", url.removeprefix("http://"))
    )
    port = free_port()
    with (tmp_path / "log").open("wb") as output:
        prometheus = subprocess.Popen(
            [
                tool("prometheus", package="prometheus"),
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        api = f"http://127.0.0.1:{port}/api/v1"
        wait_for(lambda: rules_are_well(api), seconds=30, what="all rules are evaluated")
        wait_for(
            lambda: asked(api, "count(queue_slo_seconds)") == [str(len(settings.QUEUES))],
            seconds=10,
            what="the queues are scraped",
        )
        assert asked(api, "up") == ["1"]
    finally:
        end(prometheus)


def asked(api: str, expression: str) -> list[str]:
    """These are the values that Prometheus answers."""
    answer = httpx.get(f"{api}/query", params={"query": expression}).json()
    return [row["value"][1] for row in answer["data"]["result"]]


def rules_are_well(api: str) -> bool:
    """Return whether Prometheus has evaluated each rule without an error."""
    # While it starts, it refuses, or answers that it does.
    with suppress(httpx.TransportError, ValueError):
        groups = httpx.get(f"{api}/rules").json()["data"]["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    return False
