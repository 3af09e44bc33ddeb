"""The alerts: those that page an operator, and those that open a ticket.

`manage.py alert_rules` generates the Prometheus rules file from this table. Every exporter and web
process exports the same figures, so expressions take the maximum and never sum over processes.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventbook.operate.queries.processes import ALIVE_SECONDS

RUNBOOK = "docs/alerts.md#alert-"
# The error budget: the share of 30 days' deliveries that may be late or dead.
BUDGET = 0.001
# Burn rates (https://sre.google/workbook/alerting-on-slos/).
FAST = 14.4  # spends 2 % of the budget in an hour
SLOW = 6  # spends 5 % of the budget in six hours
# Fewer bad deliveries page nobody: in a quiet hour, one failure is a large share. DeadLetters opens
# a ticket for them.
LEAST_BAD = 10
# The length of each window in seconds.
WINDOWS = {"5m": 300, "30m": 1_800, "1h": 3_600, "6h": 21_600}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert, which fires once `expression` has held for `for_` (a Prometheus duration)."""

    name: str
    page: bool
    expression: str
    for_: str
    summary: str
    description: str


def _burn_rate(rate: float, long: str, short: str) -> str:
    """Return the expression of a burn-rate alert over a long and a short window.

    The short window ends the alert soon after the fault ends.
    """
    limit = f"{rate * BUDGET:g}"
    return (
        f"queue:deliveries_bad:rate{long} / queue:deliveries:rate{long} > {limit}\n"
        f"and queue:deliveries_bad:rate{short} / queue:deliveries:rate{short} > {limit}\n"
        f"and queue:deliveries_bad:rate{long} * {WINDOWS[long]} >= {LEAST_BAD}"
    )


ALERTS = (
    Alert(
        name="QueueOverSLO",
        page=True,
        expression="max by (queue) (queue_oldest_seconds) > max by (queue) (queue_slo_seconds)\n"
        "unless max by (queue) (queue_paused) == 1",
        for_="1m",
        summary="{{ $labels.queue }} misses its SLO",
        description="A delivery that could run has waited for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="QueueWithoutWorkers",
        page=True,
        expression="max by (queue) (queue_workers) == 0",
        for_="2m",
        summary="{{ $labels.queue }} has no workers",
        description="No process that consumes the queue was seen in the last"
        f" {ALIVE_SECONDS} seconds.",
    ),
    Alert(
        name="RelayLagging",
        page=True,
        expression="max(relay_lag_seconds) > 10",
        for_="1m",
        summary="Events are not relayed",
        description="The oldest has waited for {{ $value | humanizeDuration }} in the outbox: no"
        " relay runs, or the relay can't reach the broker.",
    ),
    Alert(
        name="SLOBurnRateFast",
        page=True,
        expression=_burn_rate(FAST, "1h", "5m"),
        for_="2m",
        summary="{{ $labels.queue }} spends its error budget fast",
        description="{{ $value | humanizePercentage }} of the last hour's deliveries were late or"
        " dead; the budget is 0.1 % in 30 days.",
    ),
    Alert(
        name="SLOBurnRateSlow",
        page=True,
        expression=_burn_rate(SLOW, "6h", "30m"),
        for_="15m",
        summary="{{ $labels.queue }} spends its error budget steadily",
        description="{{ $value | humanizePercentage }} of the last six hours' deliveries were late"
        " or dead; the budget is 0.1 % in 30 days.",
    ),
    Alert(
        name="AuditViolation",
        page=True,
        expression="max by (rule) (audit_violations) > 0",
        for_="0m",
        summary="The guarantee is broken: {{ $labels.rule }}",
        description="The auditor found {{ $value }} cases.",
    ),
    Alert(
        name="MetricsAbsent",
        page=True,
        expression="absent(queue_depth)",
        for_="2m",
        summary="There are no metrics of the queues",
        description="No exporter responds, or PostgreSQL does not respond to it.",
    ),
    Alert(
        name="DeadLetters",
        page=False,
        expression="max by (queue) (dead_letters) > 0",
        for_="1m",
        summary="{{ $labels.queue }} has dead letters",
        description="{{ $value }} deliveries failed for good and wait for a decision.",
    ),
    Alert(
        name="RetryRatio",
        page=False,
        expression='sum by (handler, queue) (handler:deliveries:rate10m{outcome=~"retry|dead"})\n'
        "/ sum by (handler, queue) (handler:deliveries:rate10m) > 0.1",
        for_="5m",
        summary="{{ $labels.handler }} fails often",
        description="{{ $value | humanizePercentage }} of its attempts failed in ten minutes.",
    ),
    Alert(
        name="DeliveriesSwept",
        page=False,
        expression="max(increase(deliveries_swept_total[15m])) > 0",
        for_="0m",
        summary="Messages were lost and published again",
        description="{{ $value | humanize }} deliveries in 15 minutes: workers died, or the broker"
        " lost messages.",
    ),
    Alert(
        name="LeasesRescued",
        page=False,
        expression="max(increase(leases_rescued_total[15m])) > 0",
        for_="0m",
        summary="Workers died or hung while they held batches",
        description="{{ $value | humanize }} batches were released in 15 minutes.",
    ),
    Alert(
        name="QueuePausedLong",
        page=False,
        expression="max by (queue) (queue_paused) == 1",
        for_="30m",
        summary="{{ $labels.queue }} is still paused",
        description="Its deliveries wait until an operator resumes it.",
    ),
    Alert(
        name="BridgeLagging",
        page=False,
        expression="max by (bridge) (bridge_lag_seconds) > 60",
        for_="5m",
        summary="The bridge {{ $labels.bridge }} is late",
        description="The oldest event has waited for {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="BridgeParked",
        page=False,
        expression="max by (bridge) (bridge_parked) > 0",
        for_="0m",
        summary="The bridge {{ $labels.bridge }} has parked messages",
        description="{{ $value | humanize }} messages wait for an operator.",
    ),
    Alert(
        name="MemoryHigh",
        page=False,
        expression="max by (group) (process_memory_bytes / process_memory_limit_bytes) > 0.85",
        for_="10m",
        summary="{{ $labels.group }} is short of memory",
        description="A process uses {{ $value | humanizePercentage }} of its limit.",
    ),
    Alert(
        name="ConnectionsHigh",
        page=False,
        expression="max(database_connections) / max(database_connections_max) > 0.8",
        for_="5m",
        summary="PostgreSQL has few connections left",
        description="{{ $value | humanizePercentage }} of them are in use.",
    ),
    Alert(
        name="ClockSkew",
        page=False,
        expression="max by (group) (process_clock_ahead_seconds) > 1",
        for_="5m",
        summary="A clock of {{ $labels.group }} is wrong",
        description="It differs from PostgreSQL's by {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="AuditStale",
        page=False,
        expression="min(audit_age_seconds) > 300\n"
        "or (absent(audit_age_seconds) and on () count(queue_depth) > 0)",
        for_="10m",
        summary="The auditor does not run",
        description="It should run each minute: the scheduler or the queue `events` has stopped.",
    ),
)


def recordings() -> list[tuple[str, str]]:
    """Return the recording rules as (name, expression): rates of deliveries, and of bad ones.

    A bad delivery is late or dead.
    """
    attempts = 'rate(deliveries_total{outcome=~"done|retry|dead"}[10m])'
    rules = [("handler:deliveries:rate10m", f"max by (handler, queue, outcome) ({attempts})")]
    for window in WINDOWS:
        done = f"max by (queue) (rate(delivery_seconds_count[{window}]))"
        dead = (
            "sum by (queue) (max by (handler, queue)"
            f' (rate(deliveries_total{{outcome="dead"}}[{window}])))'
        )
        late = f"max by (queue) (rate(deliveries_late_total[{window}]))"
        rules += [
            (f"queue:deliveries:rate{window}", f"{done}\n+ {dead}"),
            (f"queue:deliveries_bad:rate{window}", f"{late}\n+ {dead}"),
        ]
    return rules
