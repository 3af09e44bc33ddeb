from __future__ import annotations

from django.db import transaction

from benchmarks.servers import command_of, environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Work
from cards.events import CardAdded
from cards.models import Card
from cards.signals import card_added
from events.outbox import Priority, recording

GROUPS = ("relay", "notification-worker", "feed-worker", "event-worker")
READY = {"relay": b"relay.started"}
TRANSACTION = 500  # events recorded by one transaction of the backlog
LEFT = """
    SELECT EXISTS (SELECT FROM events_outboxentry)
        OR EXISTS (SELECT FROM events_delivery WHERE due_at IS NOT NULL)
"""


class Commonplace(System):
    """The real outbox, relay and workers, by the commands of fly.toml."""

    def launch(self) -> None:
        """This starts the relay and the workers."""
        variables = environment(self.servers) | {"LOG_LEVEL": "INFO"}
        for group in GROUPS:
            self.processes.start(group, command_of(group), variables | {"PROCESS_NAME": group})
        wait_until(
            lambda: all(self._is_ready(group) for group in GROUPS),
            seconds=60, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def _is_ready(self, group: str) -> bool:
        log = (self.processes.log / f"{group}.log").read_bytes()
        return READY.get(group, b" ready.") in log

    def enqueue(self, work: Work) -> None:
        """This records each event as the application does, in the transaction of its change."""
        for at in range(0, len(work.cards), TRANSACTION):
            with transaction.atomic(), recording(priority=Priority.INTERACTIVE):
                for card_id, curator_id in work.cards[at : at + TRANSACTION]:
                    event = CardAdded(
                        card_id=card_id, curator_id=curator_id, url_id=None,
                        card_type="NOTE", visibility="PUBLIC",
                    )  # fmt: skip
                    card_added.send(sender=Card, event=event)

    def is_done(self) -> bool:
        """This tells whether every delivery is finished."""
        row = self.session.execute(LEFT).fetchone()
        return row == (False,)
