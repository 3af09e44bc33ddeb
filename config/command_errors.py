"""One-line messages of commands for errors of the database or the broker."""

from __future__ import annotations

import psycopg
from amqp import AMQPError
from django.db import InterfaceError, OperationalError, ProgrammingError
from kombu.exceptions import OperationalError as PublishFailed
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from eventbook.database import is_timeout
from eventbook.operate import BrokerDown
from stack.terminal import SaysWhatToDo

DATABASE_ERRORS = (OperationalError, InterfaceError, psycopg.OperationalError, PoolTimeout)
BROKER_ERRORS = (BrokerDown, PublishFailed, RedisError, AMQPError)
EXPECTED_ERRORS = (*DATABASE_ERRORS, *BROKER_ERRORS, SaysWhatToDo, ProgrammingError)
TABLE_ERRORS = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)


def is_expected(error: BaseException) -> bool:
    """Return whether an error comes from a server or the setup, and so needs no traceback."""
    if isinstance(error, ProgrammingError):
        return isinstance(error.__cause__, TABLE_ERRORS)
    return isinstance(error, EXPECTED_ERRORS)


def one_line(error: BaseException) -> str:
    """Return a line with the problem and what to do about it."""
    if isinstance(error, SaysWhatToDo):
        return str(error)
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, BROKER_ERRORS):
        return (
            f"The broker can't be reached ({first}). Start it, or correct BROKER_URL (or"
            " REDIS_URL), and run this again: events wait in PostgreSQL."
        )
    if isinstance(error, ProgrammingError):
        return f"The database is not that of this release ({first}): run `manage.py migrate`."
    if isinstance(error.__cause__, psycopg.errors.DeadlockDetected):
        return f"PostgreSQL ended a deadlock with another session ({first}): run this again."
    if is_timeout(error):
        return (
            f"PostgreSQL did not finish in time ({first}). Check pg_stat_activity, or set a longer"
            " DATABASE_REPLY_SECONDS, and run this again."
        )
    return (
        f"PostgreSQL can't be reached ({first}). Start it, or correct DATABASE_URL, and run this"
        " again; `manage.py doctor` says more."
    )
