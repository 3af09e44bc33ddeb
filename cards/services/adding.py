"""Add cards to a library: one card or a thousand, with the same few SQL statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import User, Visibility
from cards.events import CardAdded, CardImported
from cards.models import Card
from cards.queries import own_cards, own_collections, visible_cards, with_representation
from cards.services import rules
from cards.services.hidden_pages import refetch_hidden
from cards.services.inserting import insert
from cards.services.places import place
from cards.signals import card_added, card_imported
from eventbook import Priority, recording
from pages.canonical import Page
from pages.models import Url
from pages.services import announce_pages


@dataclass(frozen=True, kw_only=True)
class CardDraft:
    """The content of a card that a user wants to save."""

    type: str
    url: str = ""
    title: str = ""
    text: str = ""
    tags: Sequence[str] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    parent: UUID | None = None
    collections: Sequence[UUID] = ()
    visibility: str = Visibility.PUBLIC
    # For an imported card: when it was saved elsewhere.
    created_at: datetime | None = None
    # Whether another card of the curator has the page already, as a book's chapters share a page.
    # The new card then has no page.
    shares_page: bool = False


@dataclass(frozen=True)
class AddedCard:
    """The card of a draft. `created` is false if the curator had saved the page before."""

    card: Card
    created: bool


@dataclass(frozen=True)
class RefusedCard:
    """A refused draft: its errors by field."""

    errors: rules.Errors


Outcome = AddedCard | RefusedCard


def add_card(*, curator: User, **content: Any) -> tuple[Card, bool]:
    """Add a card with the content of a CardDraft; return the card, and whether it is new.

    If the curator has saved the page already, return that card unchanged; it is still added to the
    collections. Raise ValidationError with the invalid fields.
    """
    draft = CardDraft(**content)
    (outcome,) = add_cards(curator=curator, drafts=[draft], priority=Priority.INTERACTIVE)
    if isinstance(outcome, RefusedCard):
        raise ValidationError(dict(outcome.errors))
    return outcome.card, outcome.created


def add_cards(
    *,
    curator: User,
    drafts: Sequence[CardDraft],
    priority: Priority = Priority.BULK,
    import_id: UUID | None = None,
) -> list[Outcome]:
    """Add many cards, and return one outcome per draft, in the same order.

    Invalid drafts are refused, and the others added. Two drafts of the same page get one card. The
    number of SQL statements for cards and pages doesn't grow with the number of drafts. `import_id`
    is set if an import adds the cards.
    """
    now = timezone.now()
    # No savepoint: inside another transaction, a failure here must fail all of it.
    with transaction.atomic(savepoint=False), recording(priority=priority):
        checked = _checked(curator, drafts)
        wanted = [
            RefusedCard(errors) if errors else _new_card(curator, draft, page, now)
            for draft, (page, errors) in zip(drafts, checked, strict=True)
        ]
        saved = _insert_or_find(curator, wanted)
        _announce(saved.outcomes, import_id)
        announce_pages(saved.new_pages)
        refetch_hidden(saved.hidden)
        _place(curator, drafts, saved.outcomes, import_id)
    return saved.outcomes


def _checked(curator: User, drafts: Sequence[CardDraft]) -> list[tuple[Page | None, rules.Errors]]:
    """Return the page and the errors of each draft."""
    parents = {draft.parent for draft in drafts if draft.parent}
    collections = {each for draft in drafts for each in draft.collections}
    if parents:
        parents &= set(visible_cards(curator).filter(pk__in=parents).values_list("pk", flat=True))
    if collections:
        found = own_collections(curator).filter(pk__in=collections)
        collections &= set(found.values_list("pk", flat=True))
    return [_check(draft, parents, collections) for draft in drafts]


def _check(
    draft: CardDraft, parents: set[UUID], collections: set[UUID]
) -> tuple[Page | None, rules.Errors]:
    """Return the page and errors of a draft, given the parents and collections it may use."""
    page, errors = rules.page_of(draft.url)
    page = None if draft.shares_page else page
    if not errors:
        errors = rules.errors_of_content(
            type=draft.type, link=draft.url, title=draft.title, text=draft.text
        )
    if draft.parent and draft.parent not in parents:
        errors |= rules.error("parent", rules.UNKNOWN_CARD, "does_not_exist")
    if not collections.issuperset(draft.collections):
        errors |= rules.error("collections", rules.UNKNOWN_COLLECTION, "does_not_exist")
    return page, errors


def _new_card(curator: User, draft: CardDraft, page: Page | None, now: datetime) -> Card:
    """Return the unsaved card of a draft, with an unsaved Url for its page."""
    # `insert` sets the id of the Url.
    url = Url(canonical=page.canonical, host=page.host) if page else None
    card = Card(
        curator=curator,
        type=draft.type,
        url=url,
        link=draft.url,
        title=draft.title,
        text=draft.text,
        tags=list(draft.tags),
        reference=dict(draft.reference),
        parent_id=draft.parent,
        visibility=draft.visibility,
        created_at=draft.created_at or now,
        updated_at=now,
    )
    # `_check` has just verified that the curator may see the parent.
    card.shown_parent_id = draft.parent  # type: ignore[attr-defined]
    return card


class Saved(NamedTuple):
    """The outcomes of drafts, and what else is recorded in the same transaction.

    `new_pages` are pages that no user had saved before. `hidden` are new cards about pages that
    only other users' private cards were about.
    """

    outcomes: list[Outcome]
    new_pages: list[Url]
    hidden: list[Card]


def _insert_or_find(curator: User, wanted: Sequence[Card | RefusedCard]) -> Saved:
    """Insert new cards, and find the curator's existing cards about the same pages."""
    pages: list[Url] = []
    hidden: list[Card] = []
    new: dict[object, Card] = {}
    for card in wanted:
        if isinstance(card, Card):
            new.setdefault(_identity(card), card)
    added: dict[object, AddedCard] = {}
    # Normally one round. Another is needed if a concurrent transaction has just added a page, or
    # removed a conflicting card before it was read here.
    while missing := [card for identity, card in new.items() if identity not in added]:
        inserted = insert(missing)
        added |= {
            _identity(card): AddedCard(card, created=True)
            for card in missing
            if card.pk in inserted.cards
        }
        pages += inserted.pages
        hidden += inserted.hidden
        if len(inserted.cards) < len(missing):
            added |= _existing(curator, missing, inserted.cards)
    outcomes = [card if isinstance(card, RefusedCard) else _outcome(card, added) for card in wanted]
    return Saved(outcomes, pages, hidden)


def _identity(card: Card) -> object:
    """Return the identity of a curator's card: its page's canonical URL; without a page, its id."""
    return card.url.canonical if card.url else card.pk


def _existing(curator: User, cards: Sequence[Card], inserted: set[UUID]) -> dict[object, AddedCard]:
    """Return the curator's cards that blocked inserts, having the same page, by identity."""
    pages = [card.url_id for card in cards if card.url_id and card.pk not in inserted]
    found = with_representation(own_cards(curator), own=True).filter(url_id__in=pages)
    return {_identity(card): AddedCard(card, created=False) for card in found}


def _outcome(card: Card, added: Mapping[object, AddedCard]) -> AddedCard:
    outcome = added[_identity(card)]
    # If two drafts have the same page, the second one gets the first one's card.
    return AddedCard(outcome.card, outcome.created and outcome.card is card)


def _announce(outcomes: Iterable[Outcome], import_id: UUID | None) -> None:
    """Record an event for each new card."""
    for outcome in outcomes:
        if isinstance(outcome, AddedCard) and outcome.created:
            card = outcome.card
            fields: dict[str, Any] = {
                "card_id": card.pk,
                "curator_id": card.curator_id,
                "url_id": card.url_id,
                "card_type": card.type,
                "visibility": card.visibility,
            }
            if import_id:
                card_imported.send(sender=Card, event=CardImported(**fields, import_id=import_id))
            else:
                card_added.send(sender=Card, event=CardAdded(**fields))


def _place(
    curator: User,
    drafts: Sequence[CardDraft],
    outcomes: Sequence[Outcome],
    import_id: UUID | None,
) -> None:
    """Add the cards, new or existing, to the collections of their drafts."""
    wanted = [
        (collection, outcome.card.pk)
        for draft, outcome in zip(drafts, outcomes, strict=True)
        if isinstance(outcome, AddedCard)
        for collection in draft.collections
    ]
    if wanted:
        place(wanted, added_by=curator, import_id=import_id)
