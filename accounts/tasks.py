from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from knox.models import AuthToken

from accounts.models import IdempotentRequest
from events.schedule import scheduled

# How long the answer to a request is kept for its repetition.
IDEMPOTENCY_TTL = timedelta(hours=24)


@scheduled(every=timedelta(hours=24), name="accounts.delete_expired")
def delete_expired() -> dict[str, int]:
    """This deletes tokens that are valid no longer, and answers kept for repeated requests."""
    now = timezone.now()
    tokens, _ = AuthToken.objects.filter(expiry__lte=now).delete()
    answers, _ = IdempotentRequest.objects.filter(created_at__lte=now - IDEMPOTENCY_TTL).delete()
    return {"tokens": tokens, "answers": answers}
