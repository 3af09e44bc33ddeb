"""What the parameters of lists of cards mean."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from rest_framework import serializers

from api.views import QuerySerializer
from cards import limits
from cards.canonical import InvalidUrl, canonical, page
from cards.models import Card, Visibility
from cards.services import rules

WORDS, TAGS = 10, 10  # of one search


def canonical_or_refuse(url: str) -> str:
    """Return the canonical URL of a parameter `url`; raise ValidationError."""
    try:
        return canonical(url)
    except InvalidUrl as problem:
        raise ValidationError(dict(rules.error("url", str(problem), "invalid_url"))) from problem


class PageQuerySerializer(QuerySerializer):
    """The page whose cards are listed."""

    url = serializers.CharField(
        max_length=limits.LINK_LENGTH,
        help_text="Of the page.",
        error_messages={"required": "Give the address of a page."},
    )


class LibraryQuerySerializer(QuerySerializer):
    """Which cards of a library are listed: those that fit all that is given."""

    q = serializers.CharField(
        required=False,
        max_length=200,
        help_text=f"Words, {WORDS} at most; each is somewhere in title, text or address.",
    )
    tag = serializers.ListField(
        child=serializers.CharField(max_length=limits.TAG_LENGTH),
        required=False,
        max_length=TAGS,
        help_text="A tag as it is spelt; several may be given, and a card has them all.",
    )
    type = serializers.ChoiceField(Card.Type.choices, required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)
    collection = serializers.UUIDField(
        required=False, help_text="A collection that you can see: yours, or a public one."
    )
    host = serializers.CharField(
        required=False, max_length=255, help_text="Of the pages, as `example.org`."
    )
    url = serializers.CharField(
        required=False,
        max_length=limits.LINK_LENGTH,
        help_text="Any spelling of a page's address.",
    )

    def validate_q(self, text: str) -> list[str]:
        """Return the words."""
        words = text.split()
        if len(words) > WORDS:
            raise serializers.ValidationError(f"Give {WORDS} words at most.")
        return words

    def validate_host(self, host: str) -> str:
        """Return the host as pages have it."""
        try:
            found = page(f"https://{host}/")
        except InvalidUrl:
            found = None
        if found is None or found.canonical != f"https://{found.host}/":
            raise serializers.ValidationError("Give the name of a host, as `example.org`.")
        return found.host

    def validate_url(self, url: str) -> str:
        """Return the canonical URL of the page."""
        try:
            return canonical(url)
        except InvalidUrl as problem:
            raise serializers.ValidationError(str(problem), "invalid_url") from problem
