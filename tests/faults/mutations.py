"""Mutations: deliberate defects, with which tests show that the fault suite detects them.

A process applies those that its variable MUTATION names, separated by commas. Some mutations
simulate a crash at a certain point, a wrong clock, or another release instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def apply(names: str) -> None:
    """Apply the named mutations to this process."""
    for name in filter(None, names.split(",")):
        MUTATIONS[name]()


def no_sweep() -> None:
    """Never publish lost messages again."""
    from eventbook.relay import due

    claim = due.claim_due

    def without(*args: Any, **kwargs: Any) -> Any:
        return claim(*args, **{**kwargs, "sweep": False})

    due.claim_due = without
    due.OVERDUE_SECONDS = 86_400


def no_outbox() -> None:
    """Record events after the commit of their change, as if sent straight to a broker."""
    from django.db import transaction

    from eventbook.record import outbox, signals

    record = outbox.record

    def later(event: Any, **options: Any) -> None:
        def now() -> None:
            time.sleep(0.05)
            with transaction.atomic():
                record(event, **options)

        transaction.on_commit(now)

    vars(signals)["record"] = later


def unmarked() -> None:
    """Let the relay expand each outbox entry twice, as if it died before it deleted the entry."""
    from eventbook.relay import expansion

    before, _, rest = expansion.EXPAND.partition("claimed AS (")
    _, _, after = rest.partition("RETURNING eventbook_outboxentry.*\n    )")
    expansion.EXPAND = f"""{before} claimed AS (
        SELECT eventbook_outboxentry.* FROM eventbook_outboxentry JOIN picked
          ON eventbook_outboxentry.ctid = picked.place
    ), marked AS (
        DELETE FROM eventbook_outboxentry USING picked
        WHERE eventbook_outboxentry.ctid = picked.place
          AND (type = 'user.registered'  -- which has no handler
               OR EXISTS (SELECT FROM eventbook_delivery
                          WHERE event_id = eventbook_outboxentry.event_id))
    ){after}"""


def no_uniqueness() -> None:
    """Let the relay insert deliveries twice; the test drops the unique constraint."""
    from eventbook.relay import expansion

    conflict = "ON CONFLICT (event_id, handler, part) DO NOTHING"
    assert conflict in expansion.EXPAND
    expansion.EXPAND = expansion.EXPAND.replace(conflict, "")


def skew() -> None:
    """Shift the process's clock by SKEW_SECONDS."""
    import datetime

    from django.utils import timezone

    off = float(os.environ["SKEW_SECONDS"])
    clock = time.time
    time.time = lambda: clock() + off
    time.time_ns = lambda: int((clock() + off) * 1_000_000_000)
    now = timezone.now
    timezone.now = lambda: now() + datetime.timedelta(seconds=off)


def die_once(before: str, name: str) -> None:
    """Kill the relay once: before it publishes, or after it if `before` is empty.

    The file `name` records that it happened.
    """
    import signal

    from django.conf import settings

    from eventbook.brokers.broker import open_broker
    from eventbook.inline.pool import Inline

    kind: Any = Inline if settings.BROKER_URL == "none" else type(open_broker())
    publish = kind.publish

    def dying(self: Any, *args: Any, **kwargs: Any) -> Any:
        mark = settings.DATA_DIR / name
        fresh = not mark.exists()
        mark.touch()
        if fresh and before:
            os.kill(os.getpid(), signal.SIGKILL)
        published = publish(self, *args, **kwargs)
        if fresh:
            os.kill(os.getpid(), signal.SIGKILL)
        return published

    kind.publish = dying


def forget(handler: str) -> None:
    """Remove a handler, to simulate a release that doesn't have it yet."""
    from eventbook.declare.handlers import handlers

    del handlers[handler]


def late_release() -> None:
    """Add handlers and events, to simulate the next release."""
    import tests.faults.late_release  # noqa: F401


MUTATIONS: dict[str, Callable[[], None]] = {
    "no_sweep": no_sweep,
    "no_outbox": no_outbox,
    "unmarked": unmarked,
    "no_uniqueness": no_uniqueness,
    "skew": skew,
    "die_before_publish": partial(die_once, "before", "die_before_publish"),
    "die_after_publish": partial(die_once, "", "die_after_publish"),
    "late_release": late_release,
    "without_call": partial(forget, "probe.call"),
}
