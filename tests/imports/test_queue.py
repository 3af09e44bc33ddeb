"""What the queue of imports promises, and what web processes don't load for it."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID

import pytest

from config.queues import QUEUES
from eventbook.declare.handlers import handlers
from eventbook.deliveries.limits import rate_limits_of
from imports import limits
from imports.events import ImportBatchReady, ImportRequested, WebFeedDue
from imports.handlers import rest_seconds
from tests.harness.processes import ROOT, environment

ID = UUID(int=1)
EVENTS = {
    "imports.read": ImportRequested(import_id=ID, source="https://example.org/feed"),
    "imports.add_batch": ImportBatchReady(
        import_id=ID, number=1, source="https://example.org/feed"
    ),
    "imports.refresh": WebFeedDue(feed_id=1, host="example.org"),
}
HEAVY = ("feedparser", "bibtexparser", "pylatexenc", "defusedxml")


@pytest.mark.parametrize("name", EVENTS)
def test_each_source_has_a_hundred_calls_a_second_of_its_own(name: str) -> None:
    (policy,) = (policy for policy in QUEUES if policy.name == "imports")
    event = EVENTS[name]

    (limit,) = rate_limits_of(handlers[name], event, policy)

    assert (limit.count, limit.seconds) == (100, 1)
    assert limit.group.endswith(getattr(event, "source", "example.org"))
    assert (policy.max_attempts, policy.backoff_seconds) == (3, 1)


def test_web_processes_load_no_parser(db: None) -> None:
    program = (
        "import sys, server.wsgi, config.urls;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment() | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("rows", "seconds", "rest"), [(100, 0.03, 0.05), (100, 0.2, 0.0), (0, 0.01, 0.0)]
)
def test_a_worker_rests_for_what_its_pace_leaves(rows: int, seconds: float, rest: float) -> None:
    assert limits.IMPORT_ROWS_PER_SECOND == 1_250
    assert rest_seconds(rows, seconds) == pytest.approx(rest)
