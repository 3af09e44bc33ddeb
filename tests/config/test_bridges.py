"""Bridges are configured by the environment alone."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import bridges
from eventbook import Bridge

URL = "nats://user:a-secret-password@nats.example:4222/EVENTS"


def test_the_environment_configures_bridges() -> None:
    environment = {
        "BRIDGE_NATS_URL": URL,
        "BRIDGE_NATS_PUBLISH": "a.v1, b.v1",
        "BRIDGE_OTHER_SITE_URL": "amqp://host",
        "BRIDGE_OTHER_SITE_CONSUME": "c.v1 d.v2",
        "BRIDGE_OTHER_SITE_SUBJECT": "x.{type}",
        "BRIDGE_OFF_URL": "",
        "BRIDGE_OFF_PUBLISH": "a.v1",
    }

    assert bridges.load(environment) == (
        Bridge(name="nats", url=URL, publish=frozenset({"a.v1", "b.v1"})),
        Bridge(
            name="other-site",
            url="amqp://host",
            consume=frozenset({"c.v1", "d.v2"}),
            subject="x.{type}",
        ),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BRIDGE_NATS_PUBLSH", "a.v1"),
        ("BRIDGE_NAST_PUBLISH", "a.v1"),
        ("BRIDGE_URL", "nats://host"),
        ("BRIDGE__URL", "nats://host"),
        ("BRIDGE_nats_URL", "nats://host"),
    ],
)
def test_a_misspelt_variable_is_refused(name: str, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        bridges.load({"BRIDGE_NATS_URL": URL, name: text})
