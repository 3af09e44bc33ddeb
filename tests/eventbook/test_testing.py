"""What eventbook offers to the tests of an application."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventbook.testing import (
    NotDrained,
    drain,
    open_deliveries,
    pass_time,
    relay_once,
    without_consumers,
)
from tests.conftest import Drain
from tests.harness.processes import Workers, wait_for
from tests.probe.sending import effects, send, send_at, send_repeated, soon, states

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_drain_lists_what_is_open_at_its_end_and_ends_once_all_is_done(workers: Workers) -> None:
    send("a", "b")
    before = open_deliveries()
    with (
        without_consumers("notifications"),
        pytest.raises(NotDrained, match=r"'probe\.write queued': 2"),
    ):
        drain(seconds=0.5)

    drain()

    assert before == {"outbox probe.sent": 2}
    assert open_deliveries() == {}


def test_time_passes_for_delayed_events_and_bursts(drain: Drain) -> None:
    send_at("later", soon(7200))
    drain()
    assert effects() == []

    send_repeated("a", *"123")
    relay_once()
    wait_for(lambda: states("probe.debounce")["retry"] == 1, seconds=10, what="the last one waits")
    pass_time(timedelta(hours=2))
    drain()

    assert effects() == ["later"]
    assert effects("probe.debounce") == ["3"]
