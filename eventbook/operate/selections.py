"""The deliveries that an operator selects, by their ids or by filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from eventbook.models import Delivery, Event

NOT_GIVEN = (None, "")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Deliveries that match every given field.

    `among` is a query, for example of the rows that are selected in the admin.
    """

    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""

    def details(self) -> dict[str, Any]:
        """Return the given fields but `among`, for the Operation that records the action."""
        names = (field.name for field in dataclasses.fields(self) if field.name != "among")
        return {name: value for name in names if (value := getattr(self, name)) not in NOT_GIVEN}

    def matching(self, **fields: Any) -> QuerySet[Delivery]:
        """Return the deliveries that match this selection's fields and other given fields."""
        fields |= {"queue": self.queue, "handler": self.handler}
        given = {name: value for name, value in fields.items() if value not in NOT_GIVEN}
        chosen = Delivery.objects.filter(**given)
        # By a subquery, not a join: of an update of a join, Django moves all conditions into a
        # subquery, and PostgreSQL wouldn't check them again after it has waited for a row's lock.
        if self.type:
            chosen = chosen.filter(event_id__in=Event.objects.filter(type=self.type).values("id"))
        # Without a test of its truth, which would run the query: an empty one selects nothing.
        if self.among is not None:
            chosen = chosen.filter(id__in=self.among.order_by().values("id"))
        return chosen


@dataclass(frozen=True, kw_only=True)
class DeadLetters(Selection):
    """A selection of dead letters."""

    ids: Sequence[int] | None = None
    error: str = ""  # part of the last error's text, in any case
    since: datetime | None = None  # died at or after this time
    until: datetime | None = None  # died before this time
    limit: int | None = None  # at most this many, those that died first

    def deliveries(self) -> QuerySet[Delivery]:
        """Return the selection as a query."""
        chosen = self.matching(
            id__in=self.ids,
            error__icontains=self.error,
            finished_at__gte=self.since,
            finished_at__lt=self.until,
        ).filter(state=Delivery.State.DEAD)
        if self.limit is None:
            return chosen
        first = chosen.order_by("finished_at", "id").values_list("id", flat=True)
        return chosen.filter(id__in=list(first[: self.limit]))


@dataclass(frozen=True, kw_only=True)
class Waiting(Selection):
    """A selection of open deliveries."""

    older_than: timedelta | None = None  # since the event was recorded, or replayed

    def deliveries(self) -> QuerySet[Delivery]:
        """Return the selection as a query."""
        before = None if self.older_than is None else Now() - self.older_than
        return self.matching(recorded_at__lt=before).filter(due_at__isnull=False)
