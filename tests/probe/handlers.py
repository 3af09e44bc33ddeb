from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from events.envelope import Recorded
from events.subscription import handler
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent


class Refused(Exception):
    """The probe was told to fail."""


@handler(probe_sent, queue="notifications", name="probe.write")
def write(events: Sequence[Recorded[ProbeSent]]) -> None:
    Effect.objects.bulk_create(
        [Effect(key=e.event.key, handler="probe.write", event_id=e.id) for e in events]
    )
    for recorded in events:
        behave(recorded.event)


@handler(probe_sent, queue="feeds", name="probe.call", atomic=False)
def call(events: Sequence[Recorded[ProbeSent]]) -> None:
    (recorded,) = events
    with (settings.DATA_DIR / "outside.log").open("a") as outside:
        outside.write(f"{recorded.id} {recorded.event.key}\n")
    if recorded.event.behaviour != "freeze_once":  # that is about transactions
        behave(recorded.event)


def behave(event: ProbeSent) -> None:
    """This does what the probe says, after the effects were written."""
    match event.behaviour:
        case "raise":
            raise Refused(event.key)
        case "raise_until_told":
            if not told(event.key).exists():
                raise Refused(event.key)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "die_once":
            if not told(event.key).exists():
                told(event.key).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case "freeze_once":
            if not told(event.key).exists():
                told(event.key).write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGSTOP)


def told(key: str) -> Path:
    """This is the file by which a test tells a probe to go on."""
    return Path(settings.DATA_DIR) / f"told-{key}"
