"""Add many cards in one request: valid cards are added, and errors reported for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError as DomainError
from rest_framework import serializers
from rest_framework.serializers import as_serializer_error

from accounts.models import User
from api.errors import details_of, field_errors
from api.serializers import Serializer
from cards import limits, services
from cards.serializers import CardSerializer, card_input
from cards.services import AddedCard, CardDraft, RefusedCard
from eventbook import admit_bulk_work


class BulkRequest(Serializer):
    """The list of cards. Each card is validated later, so that one invalid card fails alone."""

    cards = serializers.ListField(min_length=1, max_length=limits.CARDS_PER_REQUEST)


@dataclass(frozen=True)
class InvalidCard:
    """The serializer's errors for one card of a request, by field."""

    errors: Mapping[str, Any]


def add_in_bulk(*, curator: User, data: Any) -> list[dict[str, Any]]:
    """Add the valid cards of a request, or find the curator's existing cards about the same pages.

    Return one result per card, in the same order. Raise REST framework's ValidationError if the
    list is malformed, or if no card is valid (errors `cards.N.field`). Raise BacklogFull if too
    much bulk work is unfinished.
    """
    admit_bulk_work()
    inputs = [draft_or_errors(item) for item in BulkRequest.checked(data)["cards"]]
    drafts = [each for each in inputs if isinstance(each, CardDraft)]
    added = iter(services.add_cards(curator=curator, drafts=drafts) if drafts else [])
    outcomes = [next(added) if isinstance(each, CardDraft) else each for each in inputs]
    errors = [errors_of(outcome) for outcome in outcomes]
    if all(errors):
        raise serializers.ValidationError({"cards": errors})
    return [result_of(outcome) for outcome in outcomes]


def draft_or_errors(item: Any) -> CardDraft | InvalidCard:
    """Validate one card of the request, and return its draft or its errors."""
    try:
        return CardDraft(**card_input().run_validation(item))
    except serializers.ValidationError as error:
        return InvalidCard(as_serializer_error(error))


def result_of(outcome: AddedCard | RefusedCard | InvalidCard) -> dict[str, Any]:
    """Return one card's result as the response shows it."""
    if isinstance(outcome, AddedCard):
        card = CardSerializer(outcome.card).data
        return {"status": "created" if outcome.created else "existing", "card": card}
    return {"status": "invalid", "errors": field_errors(errors_of(outcome))}


def errors_of(outcome: AddedCard | RefusedCard | InvalidCard) -> Any:
    """Return a card's errors as REST framework's error details; empty if it has none."""
    match outcome:
        case RefusedCard():
            return details_of(DomainError(dict(outcome.errors)))
        case InvalidCard():
            return outcome.errors
    return {}
