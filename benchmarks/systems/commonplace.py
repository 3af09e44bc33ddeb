from __future__ import annotations

import shutil
from uuid import UUID

from django.db import transaction

from benchmarks.servers import command_of, environment
from benchmarks.statements import INSERT_CARD
from benchmarks.systems.base import System, python_producer
from benchmarks.work import UNFINISHED, Cards
from cards.events import CardAdded
from cards.models import Card
from cards.signals import card_added
from eventbook.record.outbox import Priority, recording
from stack.rabbitmq import RabbitMQ

TRANSACTION = 1_000  # events per transaction when recording a backlog, as in cards/bulk/


class Commonplace(System):
    """Commonplace's outbox, relay and workers, started with the commands in fly.toml."""

    name = "Commonplace"
    groups: tuple[str, ...] = ("relay", "notification-worker", "feed-worker")

    def variables(self) -> dict[str, str]:
        """Return the environment of the processes."""
        return environment(self.servers)

    def launch(self) -> None:
        """Start the relay, the workers and the producer; events may be recorded at once."""
        variables = self.variables()
        for group in self.groups:
            self.processes.start(group, command_of(group), variables | {"PROCESS_NAME": group})
        self.producer = python_producer(self.processes, __name__, variables)

    def enqueue(self, cards: Cards) -> None:
        """Record the events as interactive work."""
        for at in range(0, len(cards), TRANSACTION):
            record(cards[at : at + TRANSACTION], Priority.INTERACTIVE)

    def flood(self, cards: Cards) -> None:
        """Record the events as bulk work, as an import does."""
        for at in range(0, len(cards), TRANSACTION):
            record(cards[at : at + TRANSACTION], Priority.BULK)

    def is_done(self) -> bool:
        """Return whether every delivery is finished."""
        return self.session.execute(UNFINISHED).fetchone() == (False,)


class OnRabbitMQ(Commonplace):
    """Commonplace with RabbitMQ as its broker."""

    name = "Commonplace, RabbitMQ"

    def launch(self) -> None:
        """Start RabbitMQ, then the processes on it."""
        self.rabbitmq = RabbitMQ(self.servers.data / "rabbitmq")
        self.rabbitmq.start()
        assert self.rabbitmq.process
        self.processes.adopt("broker", self.rabbitmq.process)
        super().launch()

    def variables(self) -> dict[str, str]:
        return super().variables() | {"BROKER_URL": self.rabbitmq.url}

    def stop(self) -> None:
        super().stop()
        self.rabbitmq.stop()
        shutil.rmtree(self.rabbitmq.data)


class Inline(Commonplace):
    """Commonplace without a broker: the relay runs the handlers."""

    name = "Commonplace, no broker"
    groups = ("relay",)

    def variables(self) -> dict[str, str]:
        return super().variables() | {"BROKER_URL": "none"}


def record(cards: Cards, priority: Priority) -> None:
    """Record the events of cards in one transaction."""
    with transaction.atomic(), recording(priority=priority):
        for card in cards:
            card_added.send(sender=Card, event=about(*card))


def write(id: UUID, curator: int) -> None:
    """Insert a card and record its event with one statement."""
    insert = f"{INSERT_CARD} RETURNING 1"
    card_added.send_with(insert, [id, curator], sender=Card, event=about(id, curator))


def about(id: UUID, curator: int) -> CardAdded:
    """Return the event of a card."""
    return CardAdded(
        card_id=id, curator_id=curator, url_id=None, card_type="NOTE", visibility="PUBLIC"
    )
