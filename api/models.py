"""Responses that are stored for repeated requests."""

from __future__ import annotations

from django.db import models


class IdempotentRequest(models.Model):
    """A POST with an `Idempotency-Key`, and its response."""

    # SHA-256 of the sender, the path and the key.
    key = models.CharField(max_length=64, primary_key=True)
    # SHA-256 of the body: the same key with another body is an error of the client.
    body_digest = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    answer = models.BinaryField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotent_request_age")]

    def __str__(self) -> str:
        return self.key
