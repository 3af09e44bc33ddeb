"""Messages that nobody should have put into the queues: the worker lives on."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import redis
from django.conf import settings

from config.embedded import Servers
from tests.conftest import Drain
from tests.events.test_delivery import send, states
from tests.running import Workers

pytestmark = pytest.mark.django_db(transaction=True)

PROPERTIES = {
    "correlation_id": "1",
    "delivery_mode": 2,
    "delivery_info": {"exchange": "", "routing_key": "notifications"},
    "priority": 0,
    "body_encoding": "base64",
    "delivery_tag": "1",
}


def message(task: str, body: str, **changes: object) -> bytes:
    """This is a message as Celery writes it, but for the changes."""
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"task": task, "id": "1"},
            "properties": PROPERTIES,
        }
        | changes
    ).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'"text"',
        b'{"body": 1}',
        b'{"body":"e30=","headers":{},"properties":{}}',
        message("probe.unknown", "W10="),
        message("probe.write", "%%%"),
        message("probe.write", "W10="),
        message("probe.write", "bnVsbA=="),
        message("probe.write", "gAJ9Lg==", **{"content-type": "application/x-python-serialize"}),
        message("probe.write", "W10=", headers=None),
        message("probe.write", "W10=", headers=[]),
    ],
    ids=lambda body: body[:40].decode(errors="replace"),
)
def test_what_is_no_message_is_dropped_and_the_worker_lives_on(
    drain: Drain, workers: Workers, body: bytes
) -> None:
    with redis.Redis.from_url(Servers(settings.DATA_DIR).unix_url) as broker:
        broker.lpush("notifications", body)
    send("after")

    drain()

    assert states("probe.write") == Counter(done=1)
    assert workers.process is not None
    assert workers.process.poll() is None
