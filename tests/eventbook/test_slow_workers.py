"""Workers that are slower than a lease lasts, beside those that died or hang."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import connection

from eventbook.models import Delivery, Lease
from eventbook.relay.relay import Relay
from tests.conftest import Drain
from tests.harness.processes import wait_for
from tests.probe.behaviours import go_file
from tests.probe.sending import send, states

pytestmark = pytest.mark.django_db(transaction=True)

HANDLER = "probe.call"
OVERDUE = """
    SELECT coalesce(extract(epoch FROM min(now() - expires_at)), 0)
    FROM eventbook_lease WHERE handler = %s
"""


@pytest.fixture
def frozen(drain: Drain) -> Iterator[int]:
    """A child that was stopped in the middle of a call outside, and whose lease ran out."""
    go_file("slow").unlink(missing_ok=True)
    send("slow", behaviour="freeze_outside_once")
    relay = Relay()

    def has_run_out() -> bool:
        relay.step()
        return overdue_seconds() > 1.5  # the relay has looked several times since

    try:
        wait_for(has_run_out, seconds=60, what="the lease of a frozen child has run out")
        yield (pid := int(go_file("slow").read_text()))
    finally:
        relay.broker.close()
    # A test may have ended it.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def overdue_seconds() -> float:
    with connection.cursor() as cursor:
        cursor.execute(OVERDUE, [HANDLER])
        ((seconds,),) = cursor.fetchall()
        return float(seconds)


def test_being_slow_is_not_dying(frozen: int, drain: Drain) -> None:
    delivery = Delivery.objects.get(handler=HANDLER)
    assert (delivery.state, delivery.attempts) == ("running", 0)
    assert Lease.objects.filter(handler=HANDLER).count() == 1

    os.kill(frozen, signal.SIGCONT)
    drain(60)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("done", 0)
    assert calls(delivery) == 1


def test_what_a_child_held_that_died_while_it_was_slow_is_done_by_another(
    frozen: int, drain: Drain
) -> None:
    os.kill(frozen, signal.SIGKILL)
    drain(60)

    delivery = Delivery.objects.get(handler=HANDLER)
    assert (delivery.state, delivery.attempts) == ("done", 1)
    assert calls(delivery) == 2


def test_who_takes_longer_than_the_time_limit_hangs(frozen: int, drain: Drain) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE eventbook_lease SET started_at = now() - interval '1 hour'")
    drain(60)

    delivery = Delivery.objects.get(handler=HANDLER)
    assert (delivery.state, delivery.attempts) == ("done", 1)
    assert "died, or hung" in delivery.failures.get().error
    assert states(HANDLER) == Counter(done=1)


def calls(delivery: Delivery) -> int:
    """Return the number of calls to the outside service for an event."""
    lines = (settings.DATA_DIR / "outside.log").read_text().splitlines()
    return sum(line.startswith(str(delivery.event_id)) for line in lines)
