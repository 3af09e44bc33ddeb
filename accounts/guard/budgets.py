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
    """A limit: at most `room` tries at once, and one more after each interval `every`."""

    name: str
    room: int
    every: timedelta


# `full_at` is the time when the whole budget is available again; each try moves it by `every`. A
# try is refused if that would move it more than `room` times `every` into the future. A refused
# try writes nothing.
SPEND = """
    WITH price AS (
        SELECT %(key)s::varchar AS key, %(every)s::interval AS try,
               clock_timestamp() + %(every)s::interval * %(room)s::float AS most
    )
    INSERT INTO accounts_spentbudget AS spent (key, full_at)
    SELECT key, clock_timestamp() + try FROM price
    WHERE NOT EXISTS (
        SELECT FROM accounts_spentbudget WHERE key = price.key AND full_at + try > most
    )
    ON CONFLICT (key) DO UPDATE
    SET full_at = greatest(spent.full_at, clock_timestamp()) + %(every)s::interval
    WHERE spent.full_at + %(every)s::interval
        <= clock_timestamp() + %(every)s::interval * %(room)s::float
"""
WAIT = """
    SELECT extract(epoch FROM
        full_at + %(every)s::interval - %(every)s::interval * %(room)s::float - clock_timestamp()
    )::float
    FROM accounts_spentbudget WHERE key = %(key)s::varchar
"""
GIVE_BACK = """
    UPDATE accounts_spentbudget SET full_at = full_at - %(every)s::interval * %(part)s::float
    WHERE key = %(key)s::varchar
"""


def spend(budget: Budget, whose: str) -> None:
    """Pay for one try from the budget of `whose`; raise TooManyTries if it is used up."""
    numbers = _numbers(budget, whose)
    if not execute(SPEND, numbers).count:
        rows = execute(WAIT, numbers).rows
        raise TooManyTries(rows[0][0] if rows else 1)


def give_back(budget: Budget, whose: str, *, part: float = 1) -> None:
    """Refund a try, or a part of its price."""
    execute(GIVE_BACK, _numbers(budget, whose) | {"part": part})


def digest(*parts: str) -> str:
    """Return the key of a row, as an HMAC: the table must not reveal names or addresses."""
    value = "\n".join(parts).encode(errors="replace")
    return salted_hmac("accounts.guard", value, algorithm="sha256").hexdigest()


def _numbers(budget: Budget, whose: str) -> dict[str, object]:
    return {"key": digest(budget.name, whose), "every": budget.every, "room": budget.room}
