"""The behaviours that a test can choose for a probe's handler, by name.

The handler runs one after its effects are written. Tests and handlers signal each other by files:
a *go file* lets a probe continue, or records that it has misbehaved once; a *begun file* says that
the handler has started.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from eventbook.declare.retries import Permanent
from eventbook.work.execution import Later
from tests.probe.signals import ProbeSent

ABOUT_TRANSACTIONS = {"freeze_once", "die_after_commit_once", "hang_up_once"}


class Refused(Exception):
    """Raised by a probe whose behaviour is to fail."""


def behave(event: ProbeSent) -> None:
    """Run the behaviour that the event names."""
    BEHAVIOURS[event.behaviour](event.key)


def go_file(key: str) -> Path:
    """Return the path of a probe's go file."""
    return Path(settings.DATA_DIR) / f"go-{key}"


def begun_file(key: str) -> Path:
    """Return the path of a probe's begun file."""
    return Path(settings.DATA_DIR) / f"begun-{key}"


def refuse(key: str) -> None:
    raise Refused(key)


def refuse_until_told(key: str) -> None:
    if not go_file(key).exists():
        raise Refused(key)


def quote_a_row(key: str) -> None:
    """Raise a database error whose message quotes the key, as a duplicate row does."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS quoted (words text PRIMARY KEY)")
        cursor.execute("INSERT INTO quoted VALUES (%s), (%s)", [key, key])


def put_off_once(key: str) -> None:
    if not go_file(key).exists():
        go_file(key).touch()
        raise Later(0.1, "Not yet.")


def give_up(key: str) -> None:
    raise Permanent(f"{key} can never succeed.")


def get_no_reply(key: str) -> None:
    raise ConnectionResetError(key)


def be_refused(key: str) -> None:
    raise ConnectionRefusedError(key)


def die(key: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(key: str) -> None:
    if not go_file(key).exists():
        go_file(key).touch()
        die(key)


def die_after_commit_once(key: str) -> None:
    if not go_file(key).exists():
        go_file(key).touch()
        transaction.on_commit(lambda: die(key))


def hang_up_once(key: str) -> None:
    """End the handler's database connection from the server's side, once."""
    if not go_file(key).exists():
        go_file(key).touch()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def freeze_once(key: str) -> None:
    if not go_file(key).exists():
        go_file(key).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)


def freeze_outside_once(key: str) -> None:
    """Suspend the process once, outside a transaction, which PostgreSQL would end."""
    if not connection.in_atomic_block:
        freeze_once(key)


def crash(key: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hoard(key: str) -> None:
    """Allocate more memory than the process may have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**31, before[1]))
    try:
        bytearray(2**32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def hang(key: str) -> None:
    time.sleep(3600)


def hang_for_good(key: str) -> None:
    """Hang, and ignore the soft time limit's signal (SIGALRM in an inline relay)."""
    for number in (signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(3600)


def wait_until_told(key: str) -> None:
    """Write the begun file, and wait up to 60 s for the go file."""
    begun_file(key).touch()
    deadline = time.monotonic() + 60
    while not go_file(key).exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def work_slowly(key: str) -> None:
    time.sleep(0.2)


def refuse_slowly(key: str) -> None:
    time.sleep(0.1)
    raise Refused(key)


BEHAVIOURS: dict[str, Callable[[str], None]] = {
    "ok": lambda key: None,
    "raise": refuse,
    "raise_slowly": refuse_slowly,
    "raise_until_told": refuse_until_told,
    "quote_a_row": quote_a_row,
    "put_off_once": put_off_once,
    "give_up": give_up,
    "get_no_reply": get_no_reply,
    "be_refused": be_refused,
    "die": die,
    "die_once": die_once,
    "die_after_commit_once": die_after_commit_once,
    "hang_up_once": hang_up_once,
    "freeze_once": freeze_once,
    "freeze_outside_once": freeze_outside_once,
    "segfault": crash,
    "hoard": hoard,
    "hang": hang,
    "hang_for_good": hang_for_good,
    "slow": work_slowly,
    "wait_until_told": wait_until_told,
}
