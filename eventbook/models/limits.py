"""The tables of rate limits."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RateGroup(models.Model):
    """A group of calls that share a rate limit, a line of refused calls, or a queue's retry budget.

    Permits are given while the group's row is locked. A refused call reserves a turn, a time to try
    again.
    """

    name = models.TextField(primary_key=True)
    # The end of the line of turns: the next refused call reserves its turn after this time.
    reserved_until = models.DateTimeField(db_default=Now())
    # A token bucket, which limits the retries that the relay publishes in a second.
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Permit(models.Model):
    """Permission for one call under a rate limit (eventbook/deliveries/limits.py)."""

    group = models.TextField()
    # The permit is in force until then.
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["group", "until"], name="permit_by_group")]

    def __str__(self) -> str:
        return f"{self.group} until {self.until}"
