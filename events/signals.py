"""Domain signals: Django signals whose events are never lost."""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from events.envelope import Subject, type_of_class
from events.outbox import record


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

    def record(self, *, event: Subject, key: str | None = None, **_: Any) -> None:
        """This records the event; raises TypeError for an event of another type.

        An event sent with the `key` of one that was recorded before is the same event.
        """
        if type(event) is not self.event_class:
            raise TypeError(
                f"{self.name} takes {self.event_class.__name__}, not {type(event).__name__}."
            )
        record(event, key=key)
