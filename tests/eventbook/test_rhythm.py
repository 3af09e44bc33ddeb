"""The relay's rhythm, by a clock of the test's own."""

from __future__ import annotations

import pytest

from eventbook.models import Priority
from eventbook.relay.rhythm import (
    BULK_LIMIT,
    CATCH_UP_SECONDS,
    CLAIM_LIMIT,
    DUE_SECONDS,
    GATHER_SECONDS_PER_EVENT,
    LONGEST_GATHER_SECONDS,
    MANY_EVENTS,
    Rhythm,
)


class Clock:
    """A clock that stands still until it is set forward."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("interactive", "seconds"),
    [
        (0, 0),
        (1, 0),
        (2, 2 * GATHER_SECONDS_PER_EVENT),
        (50, 50 * GATHER_SECONDS_PER_EVENT),
        (MANY_EVENTS - 1, LONGEST_GATHER_SECONDS),
        (MANY_EVENTS, 0),
    ],
)
def test_only_several_events_are_waited_for(interactive: int, seconds: float) -> None:
    rhythm = Rhythm()

    rhythm.note_claimed({Priority.INTERACTIVE: interactive})

    assert rhythm.gather_seconds == pytest.approx(seconds)
    assert not rhythm.work_is_left


@pytest.mark.parametrize(
    ("interactive", "bulk", "bulk_is_left", "work_is_left"),
    [
        (CLAIM_LIMIT - 1, BULK_LIMIT - 1, False, False),
        (CLAIM_LIMIT, 0, False, True),
        (0, BULK_LIMIT, True, True),
    ],
)
def test_a_full_step_has_left_work(
    interactive: int, bulk: int, bulk_is_left: bool, work_is_left: bool
) -> None:
    rhythm = Rhythm()

    rhythm.note_claimed({Priority.INTERACTIVE: interactive, Priority.BULK: bulk})

    assert (rhythm.bulk_is_left, rhythm.work_is_left) == (bulk_is_left, work_is_left)
    assert rhythm.is_busy


def test_a_duty_is_due_at_first_and_again_after_its_interval() -> None:
    rhythm = Rhythm(clock := Clock())
    assert rhythm.due_timer.is_due()
    assert rhythm.catch_up_timer.is_due()

    rhythm.due_timer.restart()
    rhythm.catch_up_timer.restart()
    assert not rhythm.due_timer.is_due()

    clock.now += DUE_SECONDS
    assert rhythm.due_timer.is_due()
    assert not rhythm.catch_up_timer.is_due()

    clock.now += CATCH_UP_SECONDS
    assert rhythm.catch_up_timer.is_due()


def test_a_duty_can_be_due_sooner() -> None:
    rhythm = Rhythm(clock := Clock())
    rhythm.depths_timer.restart()
    rhythm.due_timer.restart()
    clock.now += 0.1

    assert rhythm.depths_timer.is_due(0.05)
    assert not rhythm.depths_timer.is_due()
    rhythm.due_timer.expire()
    assert rhythm.due_timer.is_due()


def test_a_duty_is_brought_forward_and_never_put_off() -> None:
    rhythm = Rhythm(clock := Clock())
    timer = rhythm.due_timer
    timer.restart()
    assert timer.seconds_left == DUE_SECONDS

    timer.shorten(0.1)
    timer.shorten(0.3)
    assert timer.seconds_left == pytest.approx(0.1)
    clock.now += 0.1
    assert timer.seconds_left == pytest.approx(0, abs=1e-9)

    timer.restart()
    assert timer.seconds_left == DUE_SECONDS
    timer.expire()
    timer.shorten(1)
    assert timer.is_due()
    assert timer.seconds_left == 0
