"""Budgets: rate limits as token buckets, stored in PostgreSQL.

A try is paid for before the password is checked, by one statement that locks the budget's row. So
the limit holds for any number of simultaneous tries in any number of processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from django.utils.crypto import salted_hmac

from api.refusals import TryLater
from eventbook.database import execute


class TooManyTries(TryLater):
    """A budget is used up; `retry_after` is the number of seconds until the next allowed try."""

    def __init__(self, wait: float) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(f"Too many tries; try again in {seconds} seconds.", seconds)


@dataclass(frozen=True)
class Budget:
    """A limit: at most `burst` tries at once, and one more after each interval `every`."""

    name: str
    burst: int
    every: timedelta


# `full_at` is the time when the whole budget is available again; each try moves it by `every`. A
# try is refused if that would move it more than `burst` times `every` into the future. A refused
# try writes nothing.
SPEND = """
    WITH price AS (
        SELECT %(key)s::varchar AS key, %(every)s::interval AS try,
               clock_timestamp() + %(every)s::interval * %(burst)s::float AS latest
    )
    INSERT INTO accounts_spentbudget AS spent (key, full_at)
    SELECT key, clock_timestamp() + try FROM price
    WHERE NOT EXISTS (
        SELECT FROM accounts_spentbudget WHERE key = price.key AND full_at + try > latest
    )
    ON CONFLICT (key) DO UPDATE
    SET full_at = greatest(spent.full_at, clock_timestamp()) + %(every)s::interval
    WHERE spent.full_at + %(every)s::interval
        <= clock_timestamp() + %(every)s::interval * %(burst)s::float
"""
WAIT = """
    SELECT extract(epoch FROM
        full_at + %(every)s::interval - %(every)s::interval * %(burst)s::float - clock_timestamp()
    )::float
    FROM accounts_spentbudget WHERE key = %(key)s::varchar
"""
REFUND_SQL = """
    UPDATE accounts_spentbudget SET full_at = full_at - %(every)s::interval * %(part)s::float
    WHERE key = %(key)s::varchar
"""


def spend(budget: Budget, holder: str) -> None:
    """Pay for one try from the budget of `holder`; raise TooManyTries if it is used up."""
    parameters = _parameters(budget, holder)
    if not execute(SPEND, parameters).count:
        rows = execute(WAIT, parameters).rows
        raise TooManyTries(rows[0][0] if rows else 1)


def refund(budget: Budget, holder: str, *, part: float = 1) -> None:
    """Refund a try, or a part of its price."""
    execute(REFUND_SQL, _parameters(budget, holder) | {"part": part})


def keyed_digest(*parts: str) -> str:
    """Return the key of a row, as an HMAC: the table must not reveal names or addresses."""
    value = "\n".join(parts).encode(errors="replace")
    return salted_hmac("accounts.guard", value, algorithm="sha256").hexdigest()


def _parameters(budget: Budget, holder: str) -> dict[str, object]:
    return {"key": keyed_digest(budget.name, holder), "every": budget.every, "burst": budget.burst}
