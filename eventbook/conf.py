"""Every Django setting that eventbook reads, with its type and default.

`conf.NAME` is `settings.NAME`, or the default where the project doesn't set it; `Conf.NAME` is the
default, for a settings module that reads the value from the environment. Celery's and
Django's own settings, and OpenTelemetry's environment, are not listed.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from django.conf import settings

T = TypeVar("T")


class Setting(Generic[T]):
    """One setting; the comment above it says what it is for."""

    def __init__(self, default: T) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object | None, owner: type) -> T:
        if instance is None:  # Conf.NAME is the default
            return self.default
        value: Any = getattr(settings, self.name, self.default)
        return value  # type: ignore[no-any-return]


class Conf:
    """The settings, by the names that they have in the project's settings module."""

    # The policy (declare/queues.py, QueuePolicy) of each queue, by name.
    QUEUES = Setting[dict[str, Any]]({})
    # The bridges to other systems (declare/bridges.py, Bridge).
    BRIDGES = Setting[tuple[Any, ...]](())
    # The number of open bulk events and deliveries at which more bulk work is refused.
    BULK_BACKLOG_LIMIT = Setting(500_000)
    # Days for which events are kept; 0 keeps them for ever.
    KEEP_EVENTS_DAYS = Setting(365)
    # Seconds to wait for each of PostgreSQL's responses; 0 for no limit.
    DATABASE_REPLY_SECONDS = Setting(30.0)
    # The process group of this process; empty for tools and tests.
    PROCESS_GROUP = Setting("")
    # The name of this process in traces.
    PROCESS_NAME = Setting("eventbook")
    # The release of the project, for traces and the rows of processes.
    RELEASE = Setting("")
    # The address on which workers, relays and beat serve their health check.
    HEALTH_ADDRESS = Setting("127.0.0.1")
    # The port of the health check; 0 for none.
    HEALTH_PORT = Setting(0)
    # Seconds without progress after which a process fails its health check.
    HEALTH_STALL_SECONDS = Setting(60.0)
    # Seconds of a failing health check after which a process ends itself; 0 for never.
    WATCHDOG_SECONDS = Setting(300.0)
    # The address on which `manage.py exporter` serves metrics.
    EXPORTER_ADDRESS = Setting("127.0.0.1")
    # The port of `manage.py exporter`.
    EXPORTER_PORT = Setting(9108)
    # For `manage.py doctor`: whether the stack on this machine runs PostgreSQL and Valkey itself.
    EMBEDDED = Setting(False)
    # For `manage.py doctor`: whether the site accepts plain HTTP.
    INSECURE_HTTP = Setting(False)
    # For `manage.py doctor`: the token that /metrics requires; empty if /metrics is open.
    METRICS_TOKEN = Setting("")


conf = Conf()
