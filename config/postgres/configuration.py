"""How each process connects to PostgreSQL, and when it stops waiting for it."""

from __future__ import annotations

import os
from typing import Any

from config.postgres.base import ImpatientConnection
from config.postgres.session import ENVIRONMENT, SESSION

CLIENT: dict[str, Any] = {
    "connect_timeout": 2,
    # A server that vanished without a word is given up after about 25 s.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

# The same from the server's side.
KEEPALIVES = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}


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
    """Return Django's settings of a database, from its address and these numbers.

    The tables are in `schema`. `prepare` says whether all statements are prepared, or none; else
    those that ask for it are (events/sql.py).
    """
    os.environ.update(ENVIRONMENT)
    os.environ.pop("PGOPTIONS", None)
    limits = {
        # What the transaction of a process that hangs had locked, nobody else could deliver.
        "idle_in_transaction_session_timeout": f"{idle_transaction_seconds}s",
        # The server gives up a little earlier than we do, and says why.
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
        # Workers and the relay: one connection a process, kept between tasks, tested before use.
        database["CONN_MAX_AGE"] = None
    database["OPTIONS"] = database.get("OPTIONS", {}) | options
    return database


def _server_options(**settings: object) -> str:
    return " ".join(f"-c {name}={_escaped(str(value))}" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _pool(size: int) -> dict[str, Any]:
    return {
        "connection_class": ImpatientConnection,
        "min_size": 1,
        "max_size": size,
        "timeout": 2,
        # After that, the next request tries again at once; the pauses between attempts double.
        "reconnect_timeout": 1,
    }
