"""What can be wrong with an installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from events import queries
from events.audit import rules
from events.broker import Broker, BrokerDown, worker_queues
from events.queues import all_policies
from events.registry import handlers

RELAY_LAG_SECONDS = 10
AUDIT_SECONDS = 300


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, and if not, what to do."""

    subject: str
    well: bool
    text: str
    advice: str = ""


def diagnose() -> Iterator[Finding]:
    """This looks at database, broker, relay, workers and queues, in the order of dependence."""
    database = _database()
    yield database
    if database.well:
        yield _migrations()
        yield _relay()
        yield from _queues()
        yield _handlers()
        yield from _audits()
    broker = _broker()
    yield broker
    if broker.well:
        yield from _workers()
    yield _settings()


def _database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version')")
            (version,) = cursor.fetchone()
    except DatabaseError as error:
        advice = "Start PostgreSQL, or correct DATABASE_URL."
        return Finding("database", False, f"unreachable: {error}", advice)
    return Finding("database", True, f"PostgreSQL {version}")


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return Finding("migrations", False, f"{len(plan)} missing", "Run `manage.py migrate`.")
    return Finding("migrations", True, "all applied")


def _relay() -> Finding:
    lag, length = queries.relay_lag_seconds(), queries.outbox_length()
    if lag > RELAY_LAG_SECONDS:
        return Finding(
            "relay",
            False,
            f"{length} events wait in the outbox, the oldest for {lag:.0f} s",
            "Start a relay (`manage.py relay`); if one runs, look at its log and at the broker.",
        )
    return Finding("relay", True, f"{length} events wait in the outbox")


def _queues() -> Iterator[Finding]:
    for status in queries.queue_status():
        policy = all_policies().get(status.queue)
        name = f"queue {status.queue}"
        open_count = status.waiting + status.in_progress + status.retrying
        if policy is None:
            advice = "Its name left config/queues.py: put it back, or move what waits."
            yield Finding(name, False, f"{open_count} deliveries wait in no queue", advice)
        elif status.oldest_seconds > policy.slo_seconds and open_count:
            yield Finding(
                name,
                False,
                f"the oldest of {open_count} has waited {status.oldest_seconds:.0f} s;"
                f" promised are {policy.slo_seconds} s",
                f"Scale it: `fly scale count {policy.process_group}=N`.",
            )
        elif status.dead:
            advice = f"Look: `manage.py dead-letters list --queue {status.queue}`."
            yield Finding(name, False, f"{status.dead} dead letters", advice)
        else:
            yield Finding(name, True, f"{open_count} open, {status.done} done in 5 minutes")


def _handlers() -> Finding:
    unknown = queries.handlers_unknown_here(list(handlers))
    if unknown:
        return Finding(
            "handlers",
            False,
            f"deliveries wait for handlers that this release does not have: {', '.join(unknown)}",
            "Deploy the release that has them, list their names in the `formerly` of others, or"
            " give them up: `manage.py dead-letters discard --removed HANDLER`.",
        )
    return Finding("handlers", True, f"{len(handlers)} registered")


def _audits() -> Iterator[Finding]:
    found = [(rules[name], count) for name, count in queries.audits() if count and name in rules]
    for rule, count in found:
        text = f"{count} violations of {rule.name}; examples are in the admin, under Audits"
        yield Finding("audit", False, text, rule.advice)
    age = queries.audit_age_seconds()
    if age is None or age > AUDIT_SECONDS:
        text = "has not looked yet" if age is None else f"looked {age:.0f} s ago"
        # On a system that has just been set up, or without beat, there is nothing to tell.
        yield Finding("audit", age is None, text, "" if age is None else "Start beat.")
    elif not found:
        yield Finding("audit", True, f"{len(rules)} rules hold, checked {age:.0f} s ago")


def _broker() -> Finding:
    broker = Broker()
    try:
        waiting = sum(broker.depths(list(all_policies())).values())
    except BrokerDown as error:
        advice = "Start Valkey/Redis, or correct REDIS_URL. Until then events wait in PostgreSQL."
        return Finding("broker", False, f"unreachable: {error}", advice)
    finally:
        broker.close()
    return Finding("broker", True, f"{waiting} messages wait")


def _workers() -> Iterator[Finding]:
    consumers = _attempt(worker_queues)
    for policy in all_policies().values():
        workers = consumers.get(policy.name, [])
        advice = f"Start one: `manage.py worker {policy.name}`."
        text = f"{len(workers)} running" if workers else "none running"
        yield Finding(f"workers of {policy.name}", bool(workers), text, "" if workers else advice)


def _attempt(ask: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
    try:
        return ask()
    except BrokerDown:
        return {}


def _settings() -> Finding:
    if settings.DEBUG:
        return Finding("settings", False, "DEBUG is on", "Unset DEBUG before others see this.")
    if settings.INSECURE_HTTP and not settings.EMBEDDED:
        return Finding("settings", True, "plain HTTP (INSECURE_HTTP): right for one machine only")
    return Finding("settings", True, "safe")
