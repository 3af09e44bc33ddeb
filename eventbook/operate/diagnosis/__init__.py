"""Checks of a running installation: each finding says what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from eventbook.operate.diagnosis import processes, safety, servers, work
from eventbook.operate.diagnosis.finding import Finding

__all__ = ["Finding", "diagnose", "quick_checks"]


def diagnose() -> Iterator[Finding]:
    """Check the servers, the work, the processes and the settings.

    A server that does not respond costs a few seconds; the checks that depend on it are skipped.
    """
    database = servers.database()
    yield database
    broker = servers.broker()
    yield broker
    if broker.well:
        yield from servers.broker_settings()
    if database.well:
        migrations = servers.migrations()
        yield migrations
        yield from servers.database_settings()
        if migrations.well:
            yield from work.findings(broker_well=broker.well)
            yield from processes.findings(query_workers=broker.well)
    yield from safety.findings()


def quick_checks() -> Iterator[Finding]:
    """Check the work and the processes by their rows in PostgreSQL alone, for a quick overview."""
    yield from work.findings(broker_well=True)
    yield from processes.findings(query_workers=False)
