"""What can be wrong with an installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from events.diagnosis import processes, safety, servers, work
from events.diagnosis.finding import Finding

__all__ = ["Finding", "diagnose", "glance"]


def diagnose() -> Iterator[Finding]:
    """Look at the servers, the work, the processes and the settings.

    A server that does not answer is waited for some seconds, and what depends on it is left out.
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
            yield from processes.findings(ask=broker.well)
    yield from safety.findings()


def glance() -> Iterator[Finding]:
    """Look at the work and the processes as PostgreSQL knows them, and wait for nobody."""
    yield from work.findings(broker_well=True)
    yield from processes.findings(ask=False)
