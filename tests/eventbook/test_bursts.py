"""Of several events with one key, a handler gets the last one, or one each so many seconds."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from eventbook.declare.bursts import Debounce, Throttle
from eventbook.declare.events import KeyRange
from eventbook.declare.handlers import handlers, register
from eventbook.deliveries.bursts import SUPERSEDED, WAITS
from eventbook.models import Delivery
from tests.harness.processes import Workers, end, killed_on_failure, launch, wait_for
from tests.probe.models import Effect
from tests.probe.sending import effects, send_repeated

pytestmark = pytest.mark.django_db(transaction=True)

DEBOUNCE = ("probe.debounce", "probe.debounce_outside")
THROTTLE = ("probe.throttle", "probe.throttle_outside")
DEBOUNCED, LONGEST, THROTTLED = 2, 5, 2  # seconds, as the probes' handlers declare


def steadily(group: str, *, seconds: float, every: float) -> list[str]:
    """Send a probe each `every` seconds, for so many seconds; return the keys."""
    keys: list[str] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        keys.append(f"{group}-{len(keys)}")
        send_repeated(group, keys[-1])
        time.sleep(every)
    return keys


@pytest.fixture
def relay(workers: Workers, tmp_path: Path) -> Iterator[None]:
    """A relay process that has begun to relay."""
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        send_repeated("first", "first")
        wait_for(lambda: all_done(4), seconds=30, what="the relay runs")
        Delivery.objects.all().delete()
        Effect.objects.all().delete()
        yield
    end(process, seconds=10)


def all_done(count: int) -> bool:
    return Delivery.objects.filter(state="done").count() == count


def test_the_last_of_a_burst_is_delivered_when_the_burst_has_ended(relay: None) -> None:
    keys = steadily("a", seconds=2.5, every=0.1)
    send_repeated("b", "alone")
    count = len(keys) + 1
    wait_for(lambda: all_done(4 * count), seconds=15, what="all have ended")

    for name in DEBOUNCE:
        assert sorted(effects(name)) == [keys[-1], "alone"]
        superseded = Delivery.objects.filter(handler=name, state="done", error=SUPERSEDED)
        assert superseded.count() == len(keys) - 1
        for ran in Delivery.objects.filter(handler=name, state="done", error=""):
            assert ran.finished_at
            assert timedelta(seconds=DEBOUNCED) <= ran.finished_at - ran.recorded_at


def test_a_burst_without_end_is_delivered_again_and_again(relay: None) -> None:
    began = timezone.now()
    keys = steadily("a", seconds=8, every=0.1)
    wait_for(lambda: all_done(4 * len(keys)), seconds=15, what="all have ended")

    for name in DEBOUNCE:
        ran = Delivery.objects.filter(handler=name, error="").order_by("finished_at")
        assert keys[-1] in effects(name)
        assert 2 <= len(ran) <= 3
        first = ran[0].finished_at
        assert first
        assert LONGEST < (first - began).total_seconds() < LONGEST + 2


def test_one_event_each_so_many_seconds_is_delivered_the_first_at_once_and_the_last(
    relay: None,
) -> None:
    began = timezone.now()
    keys = steadily("a", seconds=5, every=0.1)
    wait_for(lambda: all_done(4 * len(keys)), seconds=15, what="all have ended")

    for name in THROTTLE:
        ran = [
            each.finished_at
            for each in Delivery.objects.filter(handler=name, error="").order_by("finished_at")
            if each.finished_at
        ]
        got = effects(name)
        assert {keys[0], keys[-1]} <= set(got)
        assert (ran[0] - began).total_seconds() < THROTTLED, "the first came at once"
        assert 3 <= len(ran) <= 4
        gaps = [(b - a).total_seconds() for a, b in pairwise(ran)]
        # Times are those of commits, and a call begins a little before.
        assert min(gaps) > THROTTLED - 0.5


def test_bursts_survive_a_restart_of_everything(workers: Workers, tmp_path: Path) -> None:
    groups = {f"group-{n}": [f"{n}-{m}" for m in range(10)] for n in range(10)}
    for number in range(2):
        process = launch("relay", log=tmp_path / "relay.log")
        with killed_on_failure(process):
            for group, keys in groups.items():
                send_repeated(group, *keys[number * 5 : number * 5 + 5])
            wait_for(lambda: Delivery.objects.filter(error=WAITS).count(), seconds=30, what="waits")
        process.kill()
        process.wait()
        workers.stop()
        workers.start()
    process = launch("relay", log=tmp_path / "relay.log")
    with killed_on_failure(process):
        wait_for(lambda: all_done(400), seconds=30, what="all have ended")
    end(process, seconds=10)

    last = {keys[-1] for keys in groups.values()}
    for name in (*DEBOUNCE, *THROTTLE):
        got = effects(name)
        assert len(got) == len(set(got)) <= 30
        assert last <= set(got)


def parts(events: Any) -> dict[Any, list[KeyRange]]:
    return {}


@pytest.mark.parametrize(
    "burst",
    [(Debounce, {"seconds": 0}), (Debounce, {"seconds": 5, "longest": 4}),
     (Throttle, {"seconds": 0})],
)  # fmt: skip
def test_a_burst_has_a_length(burst: Any) -> None:
    kind, options = burst
    with pytest.raises(ValueError, match="must be more than 0"):
        kind(key=str, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"split": parts}, "`burst` excludes"), ({"time_limit_seconds": 0}, "time limit")],
)
def test_options_that_exclude_each_other_are_refused(options: Any, message: str) -> None:
    new = dataclasses.replace(handlers["probe.throttle"], name="probe.new", **options)
    with pytest.raises(ValueError, match=message):
        register(new)
