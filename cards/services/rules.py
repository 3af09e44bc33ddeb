"""The validity rules of a card, for the API, imports and the admin alike."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from cards.models import Card
from pages.canonical import InvalidUrl, Page, page_at

Errors = dict[str, list[ValidationError]]

UNKNOWN_CARD = "There is no card with this id that you can see."
UNKNOWN_COLLECTION = "You have no collection with this id."
NO_REFERENCE = "Only a card of type REFERENCE has a reference."
ALREADY_SAVED = "You have saved this page already, as another card."


def page_of(link: str) -> tuple[Page | None, Errors]:
    """Return the page at an address, or the errors of the address."""
    if not link:
        return None, {}
    try:
        return page_at(link), {}
    except InvalidUrl as problem:
        return None, error("url", str(problem), "invalid_url")


def errors_of_content(*, type: str, link: str, title: str, text: str) -> Errors:
    """Return the errors for content that a card of this type lacks or must not have."""
    match type:
        case Card.Type.URL if not link:
            return error("url", "A card of type URL needs an address.", "required")
        case Card.Type.NOTE if link:
            return error("url", "A note has no address; use the type URL.", "not_allowed")
        case Card.Type.NOTE if not (title.strip() or text.strip()):
            return error("text", "A note needs a text or a title.", "required")
        case Card.Type.REFERENCE if not title.strip():
            return error("title", "A reference needs a title.", "required")
    return {}


def error(field: str, message: str, code: str) -> Errors:
    """Return the errors of a card with a single error, on one field."""
    return {field: [ValidationError(message, code=code)]}
