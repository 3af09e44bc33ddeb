"""The lists of cards, and their query parameters."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import Visibility
from api.views import ListAPIView, QuerySerializer
from cards import limits
from cards.models import Card
from cards.serializers import CardSerializer
from pages.canonical import InvalidUrl, canonical_url, page_at

MAX_WORDS, MAX_TAGS = 10, 10  # in one search


class CardList(ListAPIView[Card]):
    """A list of cards, newest first."""

    queryset = Card.objects.none()  # gives the schema the model of the rows
    serializer_class = CardSerializer


class PageAddressField(serializers.CharField):
    """The address of a page in any spelling; its value is the canonical URL."""

    def to_internal_value(self, data: Any) -> str:
        """Return the canonical URL, or raise ValidationError."""
        try:
            return canonical_url(super().to_internal_value(data))
        except InvalidUrl as problem:
            raise serializers.ValidationError(str(problem), "invalid_url") from problem


class PageQuerySerializer(QuerySerializer):
    """The page whose cards are listed."""

    url = PageAddressField(
        max_length=limits.LINK_LENGTH,
        help_text="The address of the page, in any spelling.",
        error_messages={"required": "Give the address of a page."},
    )


class CardFilterSerializer(QuerySerializer):
    """The filters that libraries and exports have in common."""

    q = serializers.CharField(
        required=False,
        max_length=200,
        help_text=f"Up to {MAX_WORDS} words; each must occur in the title, text or address.",
    )
    type = serializers.ChoiceField(Card.Type.choices, required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)

    def validate_q(self, text: str) -> list[str]:
        """Split the text into words; refuse too many."""
        words = text.split()
        if len(words) > MAX_WORDS:
            raise serializers.ValidationError(f"Give at most {MAX_WORDS} words.")
        return words


class LibraryQuerySerializer(CardFilterSerializer):
    """The filters of a library; a card is listed if it matches all filters given."""

    tag = serializers.ListField(
        child=serializers.CharField(max_length=limits.TAG_LENGTH),
        required=False,
        max_length=MAX_TAGS,
        help_text="An exact tag. With several, a card must have all of them.",
    )
    collection = serializers.UUIDField(
        required=False, help_text="The id of a collection that you can see: yours, or a public one."
    )
    host = serializers.CharField(
        required=False, max_length=255, help_text="The pages' host, for example `example.org`."
    )
    url = PageAddressField(
        required=False,
        max_length=limits.LINK_LENGTH,
        help_text="Any spelling of a page's address.",
    )

    def validate_host(self, host: str) -> str:
        """Return the host in the spelling of canonical URLs; refuse a text that is no host."""
        try:
            found = page_at(f"https://{host}/")
        except InvalidUrl:
            found = None
        if found is None or found.canonical != f"https://{found.host}/":
            raise serializers.ValidationError("Give a host name, for example `example.org`.")
        return found.host
