"""Checks of PostgreSQL and the broker: whether they respond, how fast, and if they lose data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from celery import current_app
from django.db import DatabaseError

from eventbook.brokers.broker import BrokerDown, open_broker
from eventbook.brokers.lanes import Kind, kind_of
from eventbook.declare.queues import all_policies
from eventbook.observe import figures
from eventbook.operate.diagnosis.finding import Finding, Unreachable
from eventbook.operate.queries.processes import inline_relays
from eventbook.operate.queries.servers import (
    connections_used_and_allowed,
    missing_migrations,
    not_durable,
    round_trip_seconds,
    server_version,
    settings_that_differ,
)

SLOW_SECONDS = 0.1  # for a query without work; a handler sends several
CLOCK_SECONDS = 1.0  # a larger difference to PostgreSQL's clock is a fault
MANY = 0.8  # the share of connections, or of memory, above which little is left


def database() -> Finding:
    """Return whether PostgreSQL responds, and how fast; Unreachable if it does not."""
    try:
        seconds = round_trip_seconds()
        version = server_version()
    except DatabaseError as error:
        advice = "Start PostgreSQL, or correct DATABASE_URL. Until then every request gets a 503."
        return Unreachable.bad("database", f"unreachable: {error}".strip(), advice)
    text = f"PostgreSQL {version} responds in {1000 * seconds:.1f} ms"
    if seconds > SLOW_SECONDS:
        advice = (
            "Check its load (`SELECT * FROM pg_stat_activity WHERE state <> 'idle'`), and run the"
            " processes in its region (`fly platform regions`)."
        )
        return Finding.bad("database", text, advice)
    return Finding.ok("database", text)


def migrations() -> Finding:
    """Return whether all migrations of this release are applied."""
    if missing := missing_migrations():
        text = f"{len(missing)} missing: {', '.join(missing)}"
        return Finding.bad("migrations", text, "Run `manage.py migrate`.")
    return Finding.ok("migrations", "all applied")


def database_settings() -> Iterator[Finding]:
    """Yield findings about durability, session settings, connections and the clock."""
    if unsafe := not_durable():
        names = ", ".join(unsafe)
        text = f"{names} off: a crash of PostgreSQL loses or damages committed data"
        advice = f"`ALTER SYSTEM SET {unsafe[0]} = on;`, and `SELECT pg_reload_conf();`."
        yield Finding.bad("database settings", text, advice)
    else:
        yield Finding.ok("database settings", "committed data survives a crash")
    yield _session()
    yield _connections()
    yield _clock()


def _session() -> Finding:
    """Return whether the session's settings are those that statements need."""
    if differ := settings_that_differ():
        advice = (
            "A proxy before PostgreSQL drops our `options`: connect directly, or set these"
            " by `ALTER ROLE … SET` (docs/scaling.md). A database in another encoding can't hold"
            " every text: create one with `ENCODING 'UTF8' TEMPLATE template0`."
        )
        return Finding.bad("database session", "; ".join(differ), advice)
    return Finding.ok("database session", "its settings are as required")


def _connections() -> Finding:
    """Return whether PostgreSQL has enough free connections."""
    used, allowed = connections_used_and_allowed()
    text = f"{used} of {allowed} in use"
    if used > MANY * allowed:
        advice = (
            "Raise max_connections, lower DATABASE_POOL_SIZE, or scale down idle processes. To see"
            " who uses them: `SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1`."
        )
        return Finding.bad("connections", text, advice)
    return Finding.ok("connections", text)


def _clock() -> Finding:
    """Return whether this machine's clock agrees with PostgreSQL's."""
    ahead = figures.clock_ahead_seconds()
    if abs(ahead) > CLOCK_SECONDS:
        return Finding.bad("clock", f"this machine's is {clock_difference(ahead)}", KEEP_TIME)
    return Finding.ok("clock", "agrees with PostgreSQL's")


KEEP_TIME = "Repair its time service (`chronyc tracking`), or replace it: `fly machine clone ID`."


def clock_difference(ahead: float) -> str:
    """Return in words how far a clock is ahead of PostgreSQL's: behind if `ahead` is negative."""
    return f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} PostgreSQL's"


def broker() -> Finding:
    """Return whether the broker responds, and how fast; Unreachable if it does not."""
    try:
        with closing(open_broker()) as connection:
            waiting = sum(connection.depths(list(all_policies())).values())
            began = time.monotonic()
            connection.depths(list(all_policies()))
            seconds = time.monotonic() - began
    except BrokerDown as error:
        advice = (
            "Start it, or correct BROKER_URL (REDIS_URL). Until then events wait in PostgreSQL."
        )
        return Unreachable.bad("broker", f"unreachable: {error}", advice)
    text = f"{waiting} messages wait; it responds in {1000 * seconds:.1f} ms"
    if seconds > SLOW_SECONDS:
        advice = (
            "Find what slows it (`valkey-cli slowlog get`, `rabbitmq-diagnostics status`), and run"
            " it in the same region."
        )
        return Finding.bad("broker", text, advice)
    return Finding.ok("broker", text)


def without_broker(unreachable: Finding) -> Finding:
    """Return the finding of an unreachable broker: a fault, unless relays run the handlers."""
    try:
        is_needed = kind_of(current_app.conf.broker_url) != Kind.NONE and not inline_relays()
    except DatabaseError:
        is_needed = True
    return unreachable if is_needed else Finding.ok("broker", "not needed: an inline relay")


def broker_settings() -> Iterator[Finding]:
    """Yield findings about settings by which the broker loses messages.

    The relay publishes a lost message again, but only once its delivery is due again.
    """
    try:
        with closing(open_broker()) as connection:
            weaknesses = list(connection.weaknesses())
    except BrokerDown:
        return
    for weakness in weaknesses:
        yield Finding.bad(f"broker {weakness.name}", weakness.text, weakness.advice)
    if not weaknesses:
        yield Finding.ok("broker settings", "they keep waiting messages")
