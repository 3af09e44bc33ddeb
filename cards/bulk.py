"""Add many cards in one request: valid cards are added, and errors reported for the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


class Envelope(Serializer):
    """The list of cards. Each card is validated later, so that one invalid card fails alone."""

    cards = serializers.ListField(min_length=1, max_length=limits.CARDS_PER_REQUEST)


def add_in_bulk(*, curator: User, data: Any) -> list[dict[str, Any]]:
    """Add the valid cards of a request, and return one result per card, in the same order.

    Raise ValidationError, with errors named `cards.N.field`, if no card is valid. Raise
    BacklogFull if too much bulk work is open already.
    """
    admit_bulk_work()
    envelope = Envelope(data=data)
    envelope.is_valid(raise_exception=True)
    inputs = list(checked(envelope.validated_data["cards"]))
    drafts = [each for each in inputs if isinstance(each, CardDraft)]
    outcomes = iter(services.add_cards(curator=curator, drafts=drafts) if drafts else [])
    settled = [next(outcomes) if isinstance(each, CardDraft) else each for each in inputs]
    refuse_all_invalid(settled)
    return [result_of(each) for each in settled]


def checked(items: Iterable[Any]) -> Iterator[CardDraft | dict[str, Any]]:
    """Yield a draft for each valid item, and the errors of each invalid one."""
    for item in items:
        try:
            yield CardDraft(**card_input().run_validation(item))
        except serializers.ValidationError as error:
            yield as_serializer_error(error)


def refuse_all_invalid(settled: Iterable[Any]) -> None:
    """Raise ValidationError if every card has errors."""
    errors = [errors_of(each) for each in settled]
    if all(errors):
        raise serializers.ValidationError({"cards": errors})


def result_of(settled: Any) -> dict[str, Any]:
    """Return one card's result as the response shows it."""
    if errors := errors_of(settled):
        return {"status": "invalid", "errors": field_errors(errors)}
    card = CardSerializer(settled.card).data
    return {"status": "created" if settled.created else "existing", "card": card}


def errors_of(settled: Any) -> Any:
    """Return a card's errors from the serializer or the service; empty if there are none."""
    if isinstance(settled, AddedCard):
        return {}
    if isinstance(settled, RefusedCard):
        return details_of(DomainError(dict(settled.errors)))
    return settled
