"""Checks of the processes: whether each kind runs, makes progress and has enough memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from eventbook.brokers.broker import BrokerDown, worker_queues
from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.operate.diagnosis.finding import Finding, duration
from eventbook.operate.diagnosis.servers import CLOCK_SECONDS, KEEP_TIME, clock_difference
from eventbook.operate.queries.processes import (
    ProcessState,
    ProcessStatus,
    inline_relays,
    processes,
    workers_by_queue,
)

MEMORY = 0.85  # the share of its limit above which a process uses too much memory
# A deploy replaces processes one by one. One that takes longer than this is stuck.
DEPLOY_SECONDS = 15 * 60
RESTART = (
    "Its log and its /healthz say why. If it doesn't end by itself, restart it: `fly machine"
    " restart ID`, or `python -m stack restart GROUP`."
)
# The timeouts for workers to say which queues they consume: of the first query, and the second.
REPLY_SECONDS = (1.0, 3.0)


def findings(*, query_workers: bool) -> Iterator[Finding]:
    """Yield a finding for each kind of process, and for each process with a fault.

    With `query_workers`, also query the workers over the broker for the queues that they consume.
    """
    known = processes()
    present = [process for process in known if process.state != ProcessState.SILENT]
    yield from _workers(query_workers=query_workers)
    for group in ("relay", "beat"):
        yield _group_without_queues(group, present)
    for process in known:
        yield from _process(process)
    yield _releases(present)


def _workers(*, query_workers: bool) -> Iterator[Finding]:
    """Yield a finding for the workers of each queue."""
    policies, alive = all_policies(), workers_by_queue()
    # They consume every queue, but don't report over the broker.
    inline = inline_relays()
    expected = policies.keys() & alive.keys() if not inline else set()
    consumers = _consumers(expected) if query_workers else None
    for policy in policies.values():
        consuming = None if consumers is None else len(consumers.get(policy.name, [])) + inline
        yield _workers_of(policy, alive.get(policy.name, 0), consuming)


def _workers_of(policy: QueuePolicy, alive: int, consuming: int | None) -> Finding:
    """Return the finding of a queue's workers.

    `alive` counts workers that write their rows; `consuming` counts those that report over the
    broker that they consume the queue, None if unknown.
    """
    subject = f"workers of {policy.name}"
    if consuming:
        return Finding.ok(subject, f"{consuming} running")
    if not alive:
        group = policy.process_group
        advice = f"Start one: `manage.py worker {policy.name}`, or `fly scale count {group}=1`."
        return Finding.bad(subject, "none running", advice)
    if consuming is None:
        return Finding.ok(subject, f"{alive} running; not queried over the broker")
    return Finding.bad(
        subject,
        f"{alive} running, but none consumes the queue: its consumer was cancelled, or it hangs",
        "Restart it: `fly machine restart ID` (`fly status` has the ids). Its /healthz says why.",
    )


def _consumers(expected: set[str]) -> dict[str, list[str]] | None:
    """Return the workers of each queue as they report themselves; None if the broker is down.

    A second query, with a longer timeout, follows if a queue in `expected` has none.
    """
    consumers: dict[str, list[str]] = {}
    try:
        for seconds in REPLY_SECONDS:
            consumers = worker_queues(seconds)
            if expected <= consumers.keys():
                break
    except BrokerDown:
        return None
    return consumers


def _group_without_queues(group: str, present: Sequence[ProcessStatus]) -> Finding:
    """Return whether a process of a group without queues runs: the relay or beat."""
    count = sum(process.group == group for process in present)
    if count:
        return Finding.ok(f"{group} processes", f"{count} running")
    command = "manage.py relay" if group == "relay" else "celery -A config beat"
    advice = f"Start one: `{command}`, or `fly scale count {group}=1`."
    return Finding.bad(f"{group} processes", "none running", advice)


def _process(process: ProcessStatus) -> Iterator[Finding]:
    """Yield the findings about one process: none if it is well and not silent."""
    name = process.name
    if process.state == ProcessState.SILENT:
        ago = duration(process.seen_seconds_ago)
        advice = "If nobody ended it on purpose, see its log (`fly logs`). Was it out of memory?"
        # No fault now: whether its kind is missing is a finding of its own, in `findings`.
        yield Finding(name, True, f"was last seen {ago} ago", advice)
        return
    if process.trouble:
        yield Finding.bad(name, process.trouble, RESTART)
    elif process.state == ProcessState.STALLED:
        ago = duration(process.progressed_seconds_ago)
        yield Finding.bad(name, f"runs, but has made no progress for {ago}", RESTART)
    if abs(process.clock_ahead_seconds) > CLOCK_SECONDS:
        text = f"its clock is {clock_difference(process.clock_ahead_seconds)}"
        yield Finding.bad(f"clock of {name}", text, KEEP_TIME)
    limit = process.memory_limit_bytes
    if limit and process.memory_bytes > MEMORY * limit:
        text = f"{process.memory_bytes // 2**20} of {limit // 2**20} MiB in use"
        advice = (
            f"`fly scale memory 1024 --process-group {process.group}`, or lower its concurrency."
        )
        yield Finding.bad(f"memory of {name}", text, advice)


def _releases(present: Sequence[ProcessStatus]) -> Finding:
    """Return whether all processes run one release; several are well during a deploy."""
    groups: dict[str, set[str]] = defaultdict(set)
    for process in present:
        groups[process.release].add(process.group)
    if len(groups) < 2:
        return Finding.ok("releases", f"all of {next(iter(groups), 'none')}")
    text = "; ".join(f"{release}: {', '.join(sorted(groups[release]))}" for release in groups)
    newest = max(present, key=lambda process: process.started_at).release
    since = min(process.age_seconds for process in present if process.release == newest)
    advice = "Finish the deploy (`fly deploy`), or restart the processes of the old release."
    return Finding("releases", since < DEPLOY_SECONDS, f"several run: {text}", advice)
