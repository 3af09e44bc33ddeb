from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """An effect of a probe's handler. Not unique on purpose, so that a second run shows."""

    objects: models.Manager[Effect] = models.Manager()

    key = models.TextField()
    handler = models.TextField()
    event_id = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.handler} {self.key}"
