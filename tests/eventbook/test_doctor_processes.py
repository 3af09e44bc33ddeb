"""The doctor on processes: which are missing, stuck, out of date, or short of something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from eventbook.models import Process
from eventbook.operate.diagnosis import Finding, processes
from eventbook.testing import without_consumers
from tests.eventbook.findings import ago, bad, found
from tests.harness.processes import Workers

pytestmark = pytest.mark.django_db(transaction=True)


def process(group: str, *queues: str, **fields: Any) -> str:
    """Record a running process, and return its subject in the doctor's findings."""
    seen = {"seen_at": Now(), "progressed_at": Now(), "started_at": Now()}
    row = Process.objects.create(
        **(
            {"group": group, "host": "h", "pid": 7, "release": "r1", "queues": list(queues)}
            | fields
        )
    )
    Process.objects.filter(pk=row.pk).update(**(seen | fields))
    return f"{group} on h, process 7"


@contextmanager
def nobody_else() -> Iterator[None]:
    """Hide the tests' own workers during the block."""
    with transaction.atomic():
        Process.objects.all().delete()
        # Their rows come again once this ends.
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE eventbook_process IN SHARE ROW EXCLUSIVE MODE")
        Process.objects.all().delete()
        yield
        transaction.set_rollback(True)


def examined() -> list[Finding]:
    """Return the doctor's findings on processes while the broker is unreachable."""
    return list(processes.findings(query_workers=False))


def test_kinds_of_processes_that_run() -> None:
    with nobody_else():
        for group, *queues in (["relay"], ["beat"], ["feed-worker", "feeds"]):
            process(group, *queues)
        findings = found(examined())

    for subject in ("relay processes", "beat processes", "workers of feeds", "releases"):
        assert findings[subject].well, findings[subject]
    assert "not queried over the broker" in findings["workers of feeds"].text


def test_a_worker_that_runs_but_does_not_consume(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "REPLY_SECONDS", (0.3, 1.5))

    with without_consumers("feeds"), nobody_else():
        process("feed-worker", "feeds")
        findings = list(processes.findings(query_workers=True))

    text = bad(findings, "workers of feeds")
    assert "1 running, but none consumes" in text
    assert "fly machine restart" in text
    assert found(findings)["workers of notifications"].well


def test_a_process_that_fell_silent_is_told_of() -> None:
    with nobody_else():
        name = process("web", seen_at=ago(60))
        finding = found(examined())[name]

    assert (finding.well, finding.text) == (True, "was last seen 60 s ago")


def test_two_releases_are_a_deploy_until_it_has_got_stuck() -> None:
    with nobody_else():
        process("relay", started_at=ago(7200))
        process("web", release="r2", started_at=ago(60))
        during = found(examined())["releases"]
        Process.objects.filter(release="r2").update(started_at=ago(3600))
        text = bad(examined(), "releases")

    assert (during.well, during.text) == (True, "several run: r1: relay; r2: web")
    assert "fly deploy" in text
