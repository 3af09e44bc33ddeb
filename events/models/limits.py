from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RateGroup(models.Model):
    """What shares a rate limit: a queue, or one account, host, endpoint or recipient of it.

    Its row is the lock under which permits are given; its times are the ends of waiting lines.
    """

    name = models.TextField(primary_key=True)
    reserved_until = models.DateTimeField(db_default=Now())
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Permit(models.Model):
    """One use of a rate limit: counted until the window after it has passed."""

    group = models.TextField()
    until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["group", "until"], name="permit_by_group")]

    def __str__(self) -> str:
        return f"{self.group} until {self.until}"
