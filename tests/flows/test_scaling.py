"""Groups of a running stack are scaled and restarted under load; nothing is lost or doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.load import Load
from tests.flows.running_stack import Reader, RunningStack, is_tests
from tests.harness.processes import ROOT, wait_for


def test_a_group_is_scaled_and_changed_under_load_and_nothing_is_lost(
    stack: RunningStack, pair: tuple[Reader, Reader]
) -> None:
    author, follower = pair
    others = {name: stack.pid(name) for name in ("web", "relay", "notification-worker")}
    first = stack.pid("feed-worker")
    # Calmly: a worker that has a task in hand at each moment takes its whole soft shutdown to stop.
    load = Load(author, pause=0.05)

    load.start()
    try:
        up = operate(stack, "scale", "feed-worker=2")
        wait_for(lambda: working(stack) == 2, seconds=30, what="both work")
        same = stack.pid("feed-worker")
        shown = operate(stack, "restart", "feed-worker", "FEED_LENGTH=2000")
        changed = [variable(stack, name) for name in ("feed-worker", "feed-worker-2")]
        none = operate(stack, "scale", "feed-worker=0")
        load.wait_for_more(10)
        stopped = working(stack)
        back = operate(stack, "scale", "feed-worker=1")
        kept = variable(stack, "feed-worker")
        operate(stack, "restart", "feed-worker", "FEED_LENGTH=")
        taken_back = variable(stack, "feed-worker")
    finally:
        load.finish()
    stack.wait_until_delivered(seconds=60)

    assert [line.split()[:2] for line in up.splitlines()] == [
        ["feed-worker", "RUNNING"],
        ["feed-worker-2", "RUNNING"],
    ]
    assert same == first, "the one that stays was restarted"
    assert "feed-worker              has        FEED_LENGTH=2000" in shown
    assert changed == ["2000", "2000"]
    assert "feed-worker              scaled to 0" in none
    assert (stopped, back.count("RUNNING"), kept, taken_back) == (0, 1, "2000", "")
    assert {name: stack.pid(name) for name in others} == others
    check_all_arrived(load, follower)


def check_all_arrived(load: Load, follower: Reader) -> None:
    assert set(load.codes) == {201}
    assert follower.feed() == follower.notified() == load.added
    assert len(follower.results("/feeds/following/")) == len(load.added)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("scale", "web=2"), "one port"),
        (("scale", "flower=2"), "one port"),
        (("scale", "reader=2"), "There are: web, relay,"),
        (("scale", "feed-worker=many"), "a number of processes"),
        (("scale", "feed-worker=-1"), "a number of processes"),
        (("scale", "feed-worker"), "usage:"),
        (("restart", "reader"), "There are: web, relay,"),
        (("restart",), "usage:"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    stack: RunningStack, arguments: tuple[str, ...], reason: str
) -> None:
    before = stack.control("status").split("uptime")[0]

    refusal = operate(stack, *arguments, code=1)

    assert reason in refusal
    assert refusal.count("\n") == 1
    assert stack.control("status").split("uptime")[0] == before


def test_without_a_stack_nothing_is_scaled(tmp_path: Path) -> None:
    done = run(tmp_path, "scale", "feed-worker=2")

    assert done.returncode == 1
    assert "start one with `make up`" in done.stderr


def operate(stack: RunningStack, *arguments: str, code: int = 0) -> str:
    """Run a command of the stack, and return its output."""
    done = run(stack.data, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not is_tests(name)}
    return subprocess.run(
        [sys.executable, "-m", "stack", *arguments],
        cwd=ROOT,
        env=environment | {"DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


def working(stack: RunningStack) -> int:
    """Return the number of feed workers that respond."""
    there = (
        "SELECT FROM eventbook_process WHERE \"group\" = %s AND seen_at > now() - interval '15 s'"
    )
    return len(stack.rows(there, "feed-worker"))


def variable(stack: RunningStack, program: str) -> str:
    """Return the FEED_LENGTH of one process, or nothing."""
    parts = Path(f"/proc/{stack.pid(program)}/environ").read_text().split("\0")
    found = dict(part.partition("=")[::2] for part in parts)
    return found.get("FEED_LENGTH", "")
