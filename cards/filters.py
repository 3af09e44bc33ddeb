from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]

from cards.canonical import InvalidUrl, canonical
from cards.models import Card, Visibility
from cards.services import rules


def canonical_or_refuse(url: str) -> str:
    """This answers the canonical URL of a parameter `url`; raises ValidationError."""
    try:
        return canonical(url)
    except InvalidUrl as problem:
        raise ValidationError(dict(rules.error("url", str(problem), "invalid_url"))) from problem


class CardFilter(filters.FilterSet):  # type: ignore[misc]
    """Which cards of a library are listed."""

    type = filters.ChoiceFilter(choices=Card.Type.choices)
    visibility = filters.ChoiceFilter(choices=Visibility.choices)
    collection = filters.UUIDFilter(field_name="places__collection_id")
    url = filters.CharFilter(method="about", help_text="Any spelling of a page's address.")

    class Meta:
        model = Card
        fields = ("type", "visibility", "collection", "url")

    def about(self, cards: QuerySet[Card], _name: str, url: str) -> QuerySet[Card]:
        """This answers the cards about the page at an address."""
        return cards.filter(url__canonical=canonical_or_refuse(url))
