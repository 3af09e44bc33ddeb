"""Domain signals: Django signals whose events are stored in the transaction of their senders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from eventbook.declare.events import DomainEvent, type_of_class
from eventbook.record.outbox import record, record_with
from eventbook.record.waiting import cancel_key, reschedule_key


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
        self,
        *,
        event: DomainEvent,
        key: str | None = None,
        run_at: datetime | None = None,
        expected: int | None = None,
        is_recorded: bool = False,
        **_: Any,
    ) -> None:
        """Record the event; raise TypeError for an event of another class.

        If an event with this `key` was recorded before, record nothing: it is the same event.
        With `run_at`, its handlers get the event at that time. Other receivers of the signal run at
        once. Raise VersionConflict if a numbered event's subject has not the `expected` version.
        """
        self._check(event)
        if not is_recorded:
            record(event, key=key, run_at=run_at, expected=expected)

    def cancel(self, key: str) -> bool:
        """Cancel the event with this key that waits for its `run_at`, and free the key.

        Return whether this came in time: after True, no handler gets the event (if the transaction
        commits); after False, its handlers got or will get it, or there is no such event.
        """
        return cancel_key(key, type=self.name)

    def reschedule(self, key: str, *, run_at: datetime) -> bool:
        """Change the `run_at` of a waiting event; return whether this came in time, as `cancel`."""
        return reschedule_key(key, type=self.name, run_at=run_at)

    def _check(self, event: DomainEvent) -> None:
        if type(event) is not self.event_class:
            raise TypeError(
                f"{self.name} takes {self.event_class.__name__}, not {type(event).__name__}."
            )
