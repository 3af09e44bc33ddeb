"""Many cards in one request: each valid one is added, each other one told of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ValidationError as DomainError
from rest_framework import serializers
from rest_framework.serializers import as_serializer_error

from accounts.errors import details_of, field_errors
from accounts.models import User
from api.serializers import Serializer
from cards import limits, services
from cards.serializers import CardSerializer, card_input
from cards.services import AddedCard, CardDraft, RefusedCard
from events.admission import admit_bulk_work


class Envelope(Serializer):
    """The list itself; its members are looked at one by one, so that one does not fail all."""

    cards = serializers.ListField(min_length=1, max_length=limits.CARDS_PER_REQUEST)


def add_in_bulk(*, curator: User, data: Any) -> list[dict[str, Any]]:
    """Return what became of each card of a request, in their order.

    Raises ValidationError, with the errors as `cards.N.field`, when no card is valid, and
    BacklogFull when too much bulk work is open already.
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
    """Return the draft of each item, or its errors."""
    for item in items:
        try:
            yield CardDraft(**card_input().run_validation(item))
        except serializers.ValidationError as error:
            yield as_serializer_error(error)


def refuse_all_invalid(settled: Iterable[Any]) -> None:
    """Raise ValidationError if there is nothing but errors."""
    errors = [errors_of(each) for each in settled]
    if all(errors):
        raise serializers.ValidationError({"cards": errors})


def result_of(settled: Any) -> dict[str, Any]:
    """Return the result of one card, as the client gets it."""
    if errors := errors_of(settled):
        return {"status": "invalid", "errors": field_errors(errors)}
    card = CardSerializer(settled.card).data
    return {"status": "created" if settled.created else "existing", "card": card}


def errors_of(settled: Any) -> Any:
    """Return the errors that a serializer or a service found in a card, if any."""
    if isinstance(settled, AddedCard):
        return {}
    if isinstance(settled, RefusedCard):
        return details_of(DomainError(dict(settled.errors)))
    return settled
