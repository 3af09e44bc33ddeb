from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """What a probe's handler did: not unique on purpose, so that doing it twice shows."""

    objects: models.Manager[Effect] = models.Manager()

    key = models.TextField()
    handler = models.TextField()
    event_id = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.handler} {self.key}"
