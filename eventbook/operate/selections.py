"""The deliveries that an operator selects, by their ids or by filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from eventbook.models import Delivery


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """A selection of dead letters: those that match every given field."""

    ids: Sequence[int] | None = None
    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""
    error: str = ""  # part of the last error's text, in any case
    since: datetime | None = None  # died at or after this time
    until: datetime | None = None  # died before this time
    limit: int | None = None  # at most this many, those that died first

    def filters(self) -> dict[str, Any]:
        """Return the selection as keyword filters for a query over deliveries."""
        chosen: dict[str, Any] = {"state": Delivery.State.DEAD}
        fields = {
            "id__in": self.ids if self.among is None else self.among.order_by().values("id"),
            "queue": self.queue,
            "handler": self.handler,
            "event__type": self.type,
            "error__icontains": self.error,
            "finished_at__gte": self.since,
            "finished_at__lt": self.until,
        }
        chosen |= {name: value for name, value in fields.items() if value not in (None, "")}
        if self.limit is None:
            return chosen
        first = Delivery.objects.filter(**chosen).order_by("finished_at", "id")
        return chosen | {"id__in": list(first.values_list("id", flat=True)[: self.limit])}

    def details(self) -> dict[str, Any]:
        """Return the given fields, for the Operation that records the action."""
        fields = ("ids", "queue", "handler", "type", "error", "since", "until", "limit")
        return {name: value for name in fields if (value := getattr(self, name))}


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A selection of open deliveries: those that match every given field."""

    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""
    older_than: timedelta | None = None  # the age of their event

    def deliveries(self) -> QuerySet[Delivery]:
        """Return the selection as a query."""
        chosen: dict[str, Any] = {"due_at__isnull": False}
        fields = {
            "id__in": self.among and self.among.order_by().values("id"),
            "queue": self.queue,
            "handler": self.handler,
            "event__type": self.type,
            "recorded_at__lt": self.older_than and Now() - self.older_than,
        }
        return Delivery.objects.filter(**chosen | {n: v for n, v in fields.items() if v})

    def details(self) -> dict[str, Any]:
        """Return the given fields, for the Operation that records the action."""
        fields = ("queue", "handler", "type", "older_than")
        return {name: value for name in fields if (value := getattr(self, name))}
