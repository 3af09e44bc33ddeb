from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from knox.models import AuthToken

from accounts.models import IdempotentRequest, KnownPlace, SpentBudget, TokenUse
from events.schedule import scheduled

# How long the answer to a request is kept for its repetition.
IDEMPOTENCY_TTL = timedelta(hours=24)
# How long an account is known at an address from which it logs in no more.
KNOWN_PLACE_TTL = timedelta(days=90)


@scheduled(every=timedelta(hours=24), name="accounts.delete_expired")
def delete_expired() -> dict[str, int]:
    """Delete tokens that are valid no longer, and answers kept for repeated requests."""
    now = timezone.now()
    tokens, _ = AuthToken.objects.filter(expiry__lte=now).delete()
    TokenUse.objects.exclude(digest__in=AuthToken.objects.values("digest")).delete()
    answers, _ = IdempotentRequest.objects.filter(created_at__lte=now - IDEMPOTENCY_TTL).delete()
    return {"tokens": tokens, "answers": answers}


@scheduled(every=timedelta(hours=1), name="accounts.forget_tries")
def forget_tries() -> dict[str, int]:
    """Delete budgets that have grown back, and places that were not seen for long."""
    now = timezone.now()
    budgets, _ = SpentBudget.objects.filter(full_at__lte=now).delete()
    places, _ = KnownPlace.objects.filter(seen_at__lte=now - KNOWN_PLACE_TTL).delete()
    return {"budgets": budgets, "places": places}
