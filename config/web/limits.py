"""How much of the web process one client, or all of them, may take."""

from __future__ import annotations

from dataclasses import dataclass

import environ

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one web process; every field is an environment variable, in capitals."""

    # Requests that are worked on at once.
    web_threads: int = 2
    # Files that one person downloads at once: exports, and the errors of imports.
    exports_per_person: int = 2
    exports_per_process: int = 20
    # Open connections. Beyond them, the connection that has been idle for longest is closed.
    web_connections: int = 4096
    # From the first byte of a request to the end of its headers, and from connecting to that.
    head_seconds: float = 15.0
    head_bytes: int = 32 * KIB
    head_fields: int = 100
    # Between two requests on one connection.
    idle_seconds: float = 60.0
    # Requests that wait behind one on their connection.
    pipelined_requests: int = 16

    # The size of a body: in general, and of `auth/` and other logins.
    body_bytes: int = MIB
    body_bytes_auth: int = 16 * KIB
    # A body arrives at this rate at least, after the grace, and within the whole time.
    body_bytes_per_second: int = 8 * KIB
    body_grace_seconds: float = 10.0
    body_seconds: float = 300.0
    # A larger body waits on disk for its thread.
    body_spool_bytes: int = 64 * KIB
    # All bodies of this process: in memory (the next ones go to disk), and altogether.
    bodies_memory_bytes: int = 16 * MIB
    bodies_bytes: int = 128 * MIB

    # A reader that takes less than the rate over this time is let go.
    send_stall_seconds: float = 30.0
    send_bytes_per_second: int = 512
    # What all slow readers of this process have not taken yet; beyond, the slowest is let go.
    unsent_bytes: int = 32 * MIB

    def __post_init__(self) -> None:
        """Raise ValueError for a limit that would refuse everything."""
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"{name.upper()} is {value}; set it to more than 0.")


def read(env: environ.Env) -> Limits:
    """Return the limits that the environment sets."""
    given = {}
    for name, default in vars(Limits()).items():
        kind = env.int if isinstance(default, int) else env.float
        given[name] = kind(name.upper(), default=default)
    return Limits(**given)


def prefix(text: str) -> str:
    """Return the path below which the site is, without a slash at its end."""
    return f"/{text.strip('/')}" if text.strip("/") else ""
