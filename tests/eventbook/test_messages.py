"""Messages: as Celery writes them; and those that nobody should have put into the queues."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings

from eventbook.brokers.messages import Templates, describe
from eventbook.brokers.redis import MESSAGE_PRIORITIES, enclosed, envelope
from eventbook.database.ids import new_id
from eventbook.declare.handlers import handlers
from eventbook.deliveries.states import Pending
from eventbook.models import Priority
from stack.embedded import Servers
from tests.conftest import Drain
from tests.harness.processes import Workers
from tests.probe.sending import send, states

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
    """Return a message as Celery writes it, with these changes."""
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


@pytest.mark.parametrize("lane", Priority)
@pytest.mark.parametrize("suspect", [False, True])
def test_a_message_is_what_celery_and_kombu_would_send(
    monkeypatch: pytest.MonkeyPatch, lane: Priority, suspect: bool
) -> None:
    handler = handlers["probe.write"]
    chunk = [Pending(number, new_id(), handler.name, lane, swept=suspect) for number in (7, 8)]
    sent: list[dict[str, Any]] = []
    with current_app.connection_for_write() as connection:
        channel = connection.default_channel
        monkeypatch.setattr(channel, "_put", lambda queue, message, **_: sent.append(message))
        headers, properties, body, _ = current_app.amqp.create_task_message(
            str(new_id()),
            handler.name,
            args=([7, 8],),
            kwargs={"suspect": True} if suspect else {},
            ignore_result=not handler.keep_result,
            argsrepr=describe(handler, chunk),
            kwargsrepr="suspect" if suspect else "",
        )
        connection.Producer(auto_declare=False).publish(
            body,
            routing_key=handler.queue,
            headers=headers,
            priority=MESSAGE_PRIORITIES[lane],
            serializer="json",
            **properties,
        )
        sent += [
            json.loads(
                enclosed(
                    Templates().message(handler, chunk), envelope(channel, (handler.queue, lane))
                )
            )
            for _ in range(2)
        ]

    theirs, first, second = (comparable(message) for message in sent)
    assert first == theirs
    assert second == theirs
    assert len({message["headers"]["id"] for message in sent}) == 3


def comparable(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without the fields that differ each time."""
    headers, properties = dict(message["headers"]), dict(message["properties"])
    id = headers.pop("id")
    assert (headers.pop("root_id"), properties.pop("correlation_id")) == (id, id)
    del properties["delivery_tag"]
    told = message | {
        "headers": headers,
        "properties": properties,
        "body": json.loads(base64.b64decode(message["body"])),
    }
    found: dict[str, Any] = json.loads(json.dumps(told))
    return found
