"""Scheduled cleanup of stored responses."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from api.models import IdempotentRequest
from eventbook import scheduled

# How long the response to a request is kept for its repetition.
IDEMPOTENCY_TTL = timedelta(hours=24)


@scheduled(every=timedelta(hours=24), name="api.forget_responses")
def forget_responses() -> int:
    """Delete responses that were kept for repeated requests, and return how many."""
    old = timezone.now() - IDEMPOTENCY_TTL
    deleted, _ = IdempotentRequest.objects.filter(created_at__lte=old).delete()
    return deleted
