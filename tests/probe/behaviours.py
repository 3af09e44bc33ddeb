"""What a probe's handler does once its effects are written."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from tests.probe.signals import ProbeSent

ABOUT_TRANSACTIONS = {"freeze_once", "die_after_commit_once"}


class Refused(Exception):
    """The probe was told to fail."""


def behave(event: ProbeSent) -> None:
    """This does what the probe says."""
    BEHAVIOURS[event.behaviour](event.key)


def told(key: str) -> Path:
    """This is the file by which a test tells a probe to go on."""
    return Path(settings.DATA_DIR) / f"told-{key}"


def refuse(key: str) -> None:
    raise Refused(key)


def refuse_until_told(key: str) -> None:
    if not told(key).exists():
        raise Refused(key)


def die(key: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(key: str) -> None:
    if not told(key).exists():
        told(key).touch()
        die(key)


def die_after_commit_once(key: str) -> None:
    if not told(key).exists():
        told(key).touch()
        transaction.on_commit(lambda: die(key))


def freeze_once(key: str) -> None:
    if not told(key).exists():
        told(key).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)


def crash(key: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hoard(key: str) -> None:
    """This asks for more memory than there is."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**31, before[1]))
    try:
        bytearray(2**32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def hang(key: str) -> None:
    time.sleep(3600)


def hang_for_good(key: str) -> None:
    """This doesn't hear the soft time limit either."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    time.sleep(3600)


def work_slowly(key: str) -> None:
    time.sleep(0.2)


BEHAVIOURS: dict[str, Callable[[str], None]] = {
    "ok": lambda key: None,
    "raise": refuse,
    "raise_until_told": refuse_until_told,
    "die": die,
    "die_once": die_once,
    "die_after_commit_once": die_after_commit_once,
    "freeze_once": freeze_once,
    "segfault": crash,
    "hoard": hoard,
    "hang": hang,
    "hang_for_good": hang_for_good,
    "slow": work_slowly,
}
