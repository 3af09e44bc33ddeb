"""The parameters of every connection to PostgreSQL, and the time limits of its waits."""

from __future__ import annotations

import os
from typing import Any

from eventbook.database.base import TimeLimitedConnection
from eventbook.database.session import ENVIRONMENT, SESSION

CLIENT: dict[str, Any] = {
    "connect_timeout": 2,
    # A server that vanished from the network counts as lost after about 25 s.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

# The same for the server, which gives up lost clients.
KEEPALIVES = {f"tcp_{name}": CLIENT[name] for name in CLIENT if name.startswith("keepalives")}


def configured(
    database: dict[str, Any],
    *,
    process: str,
    reply_seconds: float,
    lock_seconds: float,
    idle_transaction_seconds: int,
    pool_size: int,
    prepare: bool | None,
    schema: str = "public",
) -> dict[str, Any]:
    """Return Django's database settings, from its parsed address and these values.

    Also set libpq's environment variables. The tables are in `schema`. `pool_size` 0 means no pool.
    `prepare` says whether to prepare all statements or none; with None, only those of statements.py
    that request it are prepared. `process` is the connections' name for operators.
    """
    os.environ.update(ENVIRONMENT)
    os.environ.pop("PGOPTIONS", None)
    limits = {
        # Without it, deliveries locked by a hanging process could never be delivered by another.
        "idle_in_transaction_session_timeout": f"{idle_transaction_seconds}s",
        # A little shorter than the client's own limit, because the server's error has a reason.
        "statement_timeout": int(reply_seconds * 900),
        "lock_timeout": int(lock_seconds * 1000),
    }
    options = CLIENT | {
        "options": _server_options(**KEEPALIVES, **limits, search_path=schema, **SESSION),
        "application_name": process,
    }
    options["prepare_threshold"] = {True: 2, None: 5, False: None}[prepare]
    options["server_side_binding"] = bool(prepare)
    database["CONN_HEALTH_CHECKS"] = True
    if pool_size:
        options["pool"] = _pool(pool_size)
    else:
        # Workers and the relay: one connection for each process, kept open, checked before use.
        database["CONN_MAX_AGE"] = None
    database["OPTIONS"] = database.get("OPTIONS", {}) | options
    return database


def _server_options(**settings: object) -> str:
    escapes = str.maketrans({"\\": "\\\\", " ": "\\ "})
    return " ".join(
        f"-c {name}={str(value).translate(escapes)}" for name, value in settings.items()
    )


def _pool(size: int) -> dict[str, Any]:
    """Return the options of psycopg's connection pool, with at most `size` connections."""
    return {
        "connection_class": TimeLimitedConnection,
        "min_size": 1,
        "max_size": size,
        "timeout": 2,
        # The pool gives up after this many seconds, and the next request tries again at once.
        # Otherwise the pauses between the pool's attempts would double each time.
        "reconnect_timeout": 1,
    }
