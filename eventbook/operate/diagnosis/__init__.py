"""Checks of a running installation: each finding says what is well, or wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from eventbook.operate.diagnosis import bridges, processes, safety, servers, work
from eventbook.operate.diagnosis.finding import Finding, Unreachable

__all__ = ["Finding", "diagnose", "quick_checks"]


def diagnose() -> Iterator[Finding]:
    """Check the servers, the queues, the processes and the settings.

    Checks are skipped if they need a server that does not respond, or missing migrations. A server
    that does not respond delays the report by a few seconds.
    """
    on_database, on_broker = servers.database(), servers.broker()
    responds = not isinstance(on_broker, Unreachable)
    if not responds:
        on_broker = servers.without_broker(on_broker)
    yield on_database
    yield on_broker
    if responds:
        yield from servers.broker_settings()
    if not isinstance(on_database, Unreachable):
        on_migrations = servers.migrations()
        yield on_migrations
        yield from servers.database_settings()
        if on_migrations.well:
            yield from work.findings(has_broker=not isinstance(on_broker, Unreachable))
            yield from processes.findings(query_workers=responds)
            yield from bridges.findings()
    yield from safety.findings()


def quick_checks() -> Iterator[Finding]:
    """Check the queues and the processes by rows in PostgreSQL only, for a quick overview.

    The broker is not queried; the advice assumes that it responds.
    """
    yield from work.findings(has_broker=True)
    yield from processes.findings(query_workers=False)
    yield from bridges.findings()
