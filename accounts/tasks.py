"""Scheduled cleanup of tokens and rate-limit state."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import KnownPlace, SpentBudget, TokenUse
from eventbook import scheduled

# How long an address stays known after an account's last login from it.
KNOWN_PLACE_TTL = timedelta(days=90)


@scheduled(every=timedelta(hours=24), name="accounts.delete_expired")
def delete_expired() -> dict[str, int]:
    """Delete expired tokens and the TokenUse rows of deleted ones; count the tokens."""
    now = timezone.now()
    tokens, _ = AuthToken.objects.filter(expiry__lte=now).delete()
    # With NOT IN, PostgreSQL would compare each row with each token.
    TokenUse.objects.exclude(Exists(AuthToken.objects.filter(digest=OuterRef("digest")))).delete()
    return {"tokens": tokens}


@scheduled(every=timedelta(hours=1), name="accounts.forget_tries")
def forget_tries() -> dict[str, int]:
    """Delete budgets that are full again, and known places not seen for long; return the counts."""
    now = timezone.now()
    budgets, _ = SpentBudget.objects.filter(full_at__lte=now).delete()
    places, _ = KnownPlace.objects.filter(seen_at__lte=now - KNOWN_PLACE_TTL).delete()
    return {"budgets": budgets, "places": places}
