"""Domain signals: Django signals whose events are never lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from events.envelope import Subject, type_of_class
from events.outbox import record, record_with


class DomainSignal(Signal):
    """A signal of one event type; its built-in receiver records the event in the outbox.

    Send it from a service, inside the transaction of the change:
    `card_added.send(sender=Card, event=CardAdded(...))`. Receivers connected in the usual way run
    in that transaction; work that may fail or take time belongs into a handler (subscription.py).
    """

    def __init__(self, event_class: type[Any]) -> None:
        super().__init__()
        self.event_class = event_class
        self.name = type_of_class[event_class].name
        # A strong reference: a collected receiver would lose every event in silence.
        self.connect(self.record, weak=False, dispatch_uid="events.outbox.record")

    def send_with(
        self, statement: str, parameters: Sequence[Any], *, sender: Any, event: Subject
    ) -> list[Any]:
        """Send the event of a change that is one statement, if that touches a row.

        `user_unfollowed.send_with("DELETE … RETURNING 1", [...], sender=Follow, event=...)` takes
        one round trip and needs no open transaction. Return the statement's rows.
        """
        self._check(event)
        alone = len(self.receivers) == 1
        with nullcontext() if alone else transaction.atomic():
            rows = record_with(statement, parameters, event)
            if rows and not alone:
                self.send(sender=sender, event=event, is_recorded=True)
        return rows

    def record(
        self, *, event: Subject, key: str | None = None, is_recorded: bool = False, **_: Any
    ) -> None:
        """Record the event; raise TypeError for an event of another type.

        An event sent with the `key` of one that was recorded before is the same event.
        """
        self._check(event)
        if not is_recorded:
            record(event, key=key)

    def _check(self, event: Subject) -> None:
        if type(event) is not self.event_class:
            raise TypeError(
                f"{self.name} takes {self.event_class.__name__}, not {type(event).__name__}."
            )
