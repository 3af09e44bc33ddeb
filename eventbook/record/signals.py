"""Domain signals: Django signals whose events are stored in the transaction of their senders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from eventbook.declare.events import DomainEvent, type_of_class
from eventbook.record.outbox import record, record_with


class DomainSignal(Signal):
    """A signal for one event class; its built-in receiver records the event in the outbox.

    Send it from a service, inside the transaction of the change:
    `card_added.send(sender=Card, event=CardAdded(...))`. Other receivers run in that transaction,
    too; work that may fail or take time belongs in an event handler, which a worker runs later.
    """

    def __init__(self, event_class: type[Any]) -> None:
        super().__init__()
        self.event_class = event_class
        self.name = type_of_class[event_class].name
        # Not weak: the method lives as long as its signal, and each send would resolve a reference.
        self.connect(self.record, weak=False)

    def send_with(
        self, statement: str, parameters: Sequence[Any], *, sender: Any, event: DomainEvent
    ) -> list[Any]:
        """Run a statement, record the event if the statement returned a row, and return its rows.

        `user_unfollowed.send_with("DELETE … RETURNING 1", [...], sender=Follow, event=...)` takes
        one round trip and needs no open transaction. Other receivers run if there is a row.
        """
        self._check(event)
        alone = len(self.receivers) == 1
        with nullcontext() if alone else transaction.atomic():
            rows = record_with(statement, parameters, event)
            if rows and not alone:
                self.send(sender=sender, event=event, is_recorded=True)
        return rows

    def record(
        self, *, event: DomainEvent, key: str | None = None, is_recorded: bool = False, **_: Any
    ) -> None:
        """Record the event; raise TypeError for an event of another class.

        If an event with this `key` was recorded before, record nothing: it is the same event.
        """
        self._check(event)
        if not is_recorded:
            record(event, key=key)

    def _check(self, event: DomainEvent) -> None:
        if type(event) is not self.event_class:
            raise TypeError(
                f"{self.name} takes {self.event_class.__name__}, not {type(event).__name__}."
            )
