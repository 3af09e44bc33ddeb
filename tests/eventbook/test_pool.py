"""A task reaches an idle child without waiting for a turn of the worker's event loop."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.processes import ROOT

# A pool of one child, as a worker has it; the loop stands still once a task is given to it.
SCRIPT = """
import os, select, sys, time
from celery import Celery
from kombu.asynchronous import Hub, set_event_loop
from kombu.utils.imports import symbol_by_name

hub = Hub()
set_event_loop(hub)
app = Celery(set_as_current=True)
pool = symbol_by_name(sys.argv[1])(1, app=app, initargs=(app, "child"), threads=False)
read, write = os.pipe()
pool.start()
pool.register_with_event_loop(hub)
ended = time.monotonic() + 20
loop = hub.create_loop()
while not pool._pool._all_inqueues:
    next(loop)
    assert time.monotonic() < ended, "the child does not come up"
pool.apply_async(os.write, (write, b"x"))
print("at once" if select.select([read], [], [], float(sys.argv[2]))[0] else "not yet")
while not select.select([read], [], [], 0)[0]:
    next(loop)
    assert time.monotonic() < ended, "the task does not run"
print("done")
pool.terminate()
"""


@pytest.mark.parametrize(
    ("pool", "seconds", "expected"),
    [
        ("eventbook.brokers.pool:Pool", 10, ["at once", "done"]),
        ("celery.concurrency.prefork:TaskPool", 0.5, ["not yet", "done"]),
    ],
)
def test_an_idle_child_gets_its_task_at_once(
    pool: str, seconds: float, expected: list[str]
) -> None:
    assert run(pool, str(seconds)) == expected


def run(*arguments: str) -> list[str]:
    """Run the script, and return its output."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split("\n")[:-1]
