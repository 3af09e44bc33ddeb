"""Change and remove cards."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from psycopg.errors import UniqueViolation

from accounts.models import User
from cards.events import CardRemoved, CardUpdated
from cards.models import Card
from cards.queries import visible_cards, with_representation
from cards.services import rules
from cards.services.hidden_pages import update_page
from cards.services.parents import errors_of_new_parent, lock_parents
from cards.signals import card_removed, card_updated
from pages.services import find_or_create_pages

# The fields that can be changed; the type and the curator cannot.
CHANGEABLE = ("url", "title", "text", "tags", "reference", "parent", "visibility")
COLUMNS = {"url": "link", "parent": "parent_id"}  # of fields with another name


def update_card(*, card: Card, **changes: Any) -> Card:
    """Change fields of a card, and return the card.

    `changes` may have `url`, `title`, `text`, `tags`, `reference`, `parent` (an id) and
    `visibility`. Raise ValidationError with the invalid fields, and Card.DoesNotExist if the card
    has been removed meanwhile. If nothing changes, no event is recorded.
    """
    if unknown := set(changes) - set(CHANGEABLE):
        raise TypeError(f"A card's {', '.join(sorted(unknown))} cannot be changed.")
    with transaction.atomic():
        if changes.get("parent"):
            lock_parents()
        locked = Card.objects.select_for_update(of=("self",))
        card = with_representation(locked, own=True).get(pk=card.pk)
        old_page, before = card.url_id, _content(card)
        _apply(card, changes)
        if _content(card) == before:
            return card
        _save(card)
        update_page(card, is_moved=card.url_id != old_page)
        record_update(card)
    return with_representation(Card.objects.all(), own=True).get(pk=card.pk)


def record_update(card: Card) -> None:
    """Record the event of a card that has changed, in the transaction of the change."""
    event = CardUpdated(
        card_id=card.pk,
        curator_id=card.curator_id,
        url_id=card.url_id,
        visibility=card.visibility,
    )
    card_updated.send(sender=Card, event=event)


def remove_card(*, card: Card) -> bool:
    """Remove a card, also from its collections; return whether it still existed."""
    with transaction.atomic():
        # Without this lock, two removals at once would both record an event.
        locked = Card.objects.select_for_update().filter(pk=card.pk).first()
        if locked is None:
            return False
        event = CardRemoved(card_id=locked.pk, curator_id=locked.curator_id, url_id=locked.url_id)
        locked.delete()
        card_removed.send(sender=Card, event=event)
    return True


def _content(card: Card) -> list[Any]:
    """Return the values of a card that a change can alter."""
    return [card.url_id, *(getattr(card, COLUMNS.get(name, name)) for name in CHANGEABLE)]


def _apply(card: Card, changes: dict[str, Any]) -> None:
    """Set the changed fields on the card; raise ValidationError if a change is invalid."""
    link = changes.get("url", card.link)
    title, text = changes.get("title", card.title), changes.get("text", card.text)
    # The present rules may refuse an older link, which must not prevent other changes.
    page, errors = rules.page_of(link) if "url" in changes else (None, {})
    if not errors:
        errors = rules.errors_of_content(type=card.type, link=link, title=title, text=text)
    if changes.get("reference") and card.type != Card.Type.REFERENCE:
        errors |= rules.error("reference", rules.NO_REFERENCE, "not_allowed")
    errors |= _errors_of_parent(card, changes)
    if errors:
        raise ValidationError(dict(errors))
    for name, value in changes.items():
        setattr(card, COLUMNS.get(name, name), value)
    if "url" in changes:
        before, now = card.url_id, timezone.now()
        card.url_id = find_or_create_pages([page])[page.canonical] if page else None
        if card.url_id != before:
            card.page_since = now


def _errors_of_parent(card: Card, changes: dict[str, Any]) -> rules.Errors:
    """Return the errors if the changes name a parent that the card may not get."""
    parent = changes.get("parent")
    if parent is None:
        return {}
    if parent == card.pk:
        return rules.error("parent", "A card cannot be its own parent.", "own_parent")
    if not visible_cards(User(pk=card.curator_id)).filter(pk=parent).exists():
        return rules.error("parent", rules.UNKNOWN_CARD, "does_not_exist")
    return errors_of_new_parent(card.pk, parent)


def _save(card: Card) -> None:
    """Save the card; raise ValidationError if the curator has another card about the page."""
    card.updated_at = timezone.now()
    try:
        with transaction.atomic():
            card.save(force_update=True)
    except IntegrityError as error:
        if isinstance(error.__cause__, UniqueViolation):
            raise ValidationError(dict(rules.error("url", rules.ALREADY_SAVED, "taken"))) from error
        raise
