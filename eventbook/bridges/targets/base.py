"""What every kind of target must do, and the errors that it raises."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from urllib.parse import SplitResult, parse_qs
from uuid import UUID

from eventbook.bridges.envelope import Message


class TargetDown(Exception):
    """The target did not confirm all messages; the message has no secrets and goes to logs.

    `confirmed` are the ids of those that it did confirm.
    """

    def __init__(self, text: str, confirmed: Collection[UUID] = ()) -> None:
        super().__init__(text)
        self.confirmed = frozenset(confirmed)


class Target(Protocol):
    """A connection to a target, opened on first use and again after each TargetDown."""

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        """Send messages of different aggregates, in any order, and wait until all are confirmed.

        Return the reason for each message that the target will never accept. Raise TargetDown if
        some are not confirmed for another cause: they are sent again later, with the same ids.
        """

    def idle(self) -> None:
        """Keep an unused connection alive; raise TargetDown if there is none.

        Called four times a second while there is nothing to publish.
        """

    def close(self) -> None:
        """Close the connection."""


def parameter(url: SplitResult, name: str, otherwise: str) -> str:
    """Return a parameter of the query of a target's URL."""
    return parse_qs(url.query).get(name, [otherwise])[-1]


def destination(template: str, type: str) -> str:
    """Return where an event of a type goes in the target: a subject, routing key or channel."""
    return template.replace("{type}", type)
