"""What eventbook offers to the tests of an application."""

from __future__ import annotations

import pytest

from eventbook.testing import NotDrained, drain, open_deliveries, without_consumers
from tests.harness.processes import Workers
from tests.probe.sending import send

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
