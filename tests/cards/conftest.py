"""Fixtures of eventbook's bridges, for the test of the cards' own."""

from tests.eventbook.bridges.conftest import (
    configure,
    nats,
    processes,
    rabbit,
    rabbit_server,
)

__all__ = ["configure", "nats", "processes", "rabbit", "rabbit_server"]
