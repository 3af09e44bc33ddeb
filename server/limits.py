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
    # Downloads (exports, and error lists of imports) of one user at once.
    exports_per_person: int = 2
    # Downloads of all users at once.
    exports_per_process: int = 20
    # Open connections. Beyond them, the connection that has been idle for longest is closed.
    web_connections: int = 4096
    # The time for a request's head (request line and headers), and before it, for a new
    # connection's first byte.
    head_seconds: float = 15.0
    # The size of a request's head.
    head_bytes: int = 32 * KIB
    # The number of a request's headers.
    head_fields: int = 100
    # The time between two requests on one connection.
    idle_seconds: float = 60.0
    # Requests that wait on one connection behind the one being processed.
    pipelined_requests: int = 16

    # The size of a request's body; logins, `auth/` and uploads of imports have limits of their own.
    body_bytes: int = MIB
    # The size of a body at logins and below `auth/`.
    body_bytes_auth: int = 16 * KIB
    # The slowest rate at which a body may arrive, after the grace period.
    body_bytes_per_second: int = 8 * KIB
    # The time at the start of a body during which its rate doesn't count.
    body_grace_seconds: float = 10.0
    # The time for a whole body, at any rate.
    body_seconds: float = 300.0
    # A larger body is buffered on disk.
    body_spool_bytes: int = 64 * KIB
    # The memory for all bodies of the process. Beyond it, they are buffered on disk.
    bodies_memory_bytes: int = 16 * MIB
    # The size of all bodies of the process, in memory and on disk.
    bodies_bytes: int = 128 * MIB

    # Seconds between two checks of how much a slow client has read.
    send_stall_seconds: float = 30.0
    # The slowest rate at which a client may read, on average over that interval.
    send_bytes_per_second: int = 512
    # Unread responses of all slow clients of the process. Beyond it, the client that has waited
    # longest is disconnected.
    unsent_bytes: int = 32 * MIB

    def __post_init__(self) -> None:
        """Raise ValueError unless each limit is positive."""
        for name, value in vars(self).items():
            if not value > 0:  # not so for NaN, which `value <= 0` would let pass
                raise ValueError(f"{name.upper()} is {value}; set it to more than 0.")


def read(env: environ.Env) -> Limits:
    """Return the limits, with the values that the environment sets."""
    values = {}
    for name, default in vars(Limits()).items():
        kind = env.int if isinstance(default, int) else env.float
        values[name] = kind(name.upper(), default=default)
    return Limits(**values)
