"""Limits on the resources of a web process, for one client or for all clients together."""

from __future__ import annotations

from dataclasses import dataclass

import environ

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one web process; the variable WEB_THREADS sets `web_threads`, and so on."""

    # Requests that are processed at once.
    web_threads: int = 2
    # Downloads at once, by one person and in the process: exports, and error lists of imports.
    exports_per_person: int = 2
    exports_per_process: int = 20
    # Open connections. Beyond them, the connection that has been idle for longest is closed.
    web_connections: int = 4096
    # From the first byte of a request to the end of its headers, and from connecting to the first
    # byte.
    head_seconds: float = 15.0
    head_bytes: int = 32 * KIB
    head_fields: int = 100
    # Between two requests on one connection.
    idle_seconds: float = 60.0
    # Requests that wait on one connection behind the one being processed.
    pipelined_requests: int = 16

    # The size of a request body: in general, and for logins and `auth/`.
    body_bytes: int = MIB
    body_bytes_auth: int = 16 * KIB
    # After the grace period, a body must arrive at this rate at least, and always within
    # `body_seconds`.
    body_bytes_per_second: int = 8 * KIB
    body_grace_seconds: float = 10.0
    body_seconds: float = 300.0
    # A larger body is buffered on disk.
    body_spool_bytes: int = 64 * KIB
    # All bodies of the process: in memory (beyond it, they go to disk), and in total.
    bodies_memory_bytes: int = 16 * MIB
    bodies_bytes: int = 128 * MIB

    # A client that reads its response at less than the rate over this time is disconnected.
    send_stall_seconds: float = 30.0
    send_bytes_per_second: int = 512
    # Unread responses of all slow clients of the process; beyond it, the slowest is disconnected.
    unsent_bytes: int = 32 * MIB

    def __post_init__(self) -> None:
        """Raise ValueError for a limit of zero or less, which would refuse every request."""
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name.upper()} is {value}; set it to more than 0.")


def read(env: environ.Env) -> Limits:
    """Return the limits, with the values that the environment sets."""
    values = {}
    for name, default in vars(Limits()).items():
        kind = env.int if isinstance(default, int) else env.float
        values[name] = kind(name.upper(), default=default)
    return Limits(**values)
