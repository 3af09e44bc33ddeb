"""Merge imported rows into the owner's existing cards of the same item or page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts.models import User, Visibility
from cards.limits import TAGS_PER_CARD, TEXT_LENGTH
from cards.models import Card, CollectionCard
from cards.services import CardDraft, record_update
from eventbook import Priority, recording
from eventbook.database import execute
from imports.files.bibliography import MULTILINE_FIELDS, fit_to_card, is_different_work
from imports.files.items import Item, one_line
from imports.jobs import statements
from imports.jobs.drafts import tags_of

# The fields of a card that a merge may change.
MERGED_FIELDS = ("type", "title", "text", "tags", "reference", "visibility", "created_at")


class CardFull(Exception):
    """The card has no room for the note or tags of a row."""


@dataclass(frozen=True)
class Match:
    """A row, the draft of its card, and the existing card that it matches."""

    key: UUID
    item: Item
    draft: CardDraft
    card_id: UUID
    # Whether the row matches by its page only: then row and card may still be different works.
    by_page: bool = False


@dataclass
class MergeResult:
    """Rows that matched a card, by result."""

    merged: list[Match] = field(default_factory=list)
    # Rows that brought nothing new, or whose card was removed after the match.
    known: list[Match] = field(default_factory=list)
    # Different works that share a page with the card; they get cards of their own.
    different_works: list[Match] = field(default_factory=list)
    # Rows for which the card has no room.
    refused: list[Match] = field(default_factory=list)


def merge(owner: User, matches: Sequence[Match]) -> MergeResult:
    """Merge rows into cards, and return each row's result.

    Call within a transaction: the cards stay locked until it ends, so that edits and other imports
    come entirely before or after the merge.
    """
    result = MergeResult()
    own = Card.objects.select_for_update(no_key=True).filter(curator=owner)
    found = own.filter(pk__in={match.card_id for match in matches}).order_by("pk")
    cards = {card.pk: card for card in found}
    before = {card.pk: _content(card) for card in found}
    places = _places(matches)
    for match in matches:
        card = cards.get(match.card_id)
        if card is None:  # removed since the match
            result.known.append(match)
        elif match.by_page and _is_different_work(card, match.draft):
            result.different_works.append(match)
        else:
            new_places = {(each, card.pk) for each in match.draft.collections} - places
            places |= new_places
            try:
                changed = merge_into(card, match)
            except CardFull:
                result.refused.append(match)
                continue
            (result.merged if changed or new_places else result.known).append(match)
    _save([card for card in cards.values() if _content(card) != before[card.pk]])
    return result


def _is_different_work(card: Card, draft: CardDraft) -> bool:
    """Return whether a card and a draft with equal pages refer to different works.

    Without two references, return False. Titles are compared too, so they join the references.
    """
    if not (card.reference and draft.reference):
        return False
    one, other = ({"title": each.title, **each.reference} for each in (card, draft))
    return is_different_work(one, other)


def _places(matches: Iterable[Match]) -> set[tuple[UUID, UUID]]:
    """Return the existing (collection id, card id) pairs among those that the rows name."""
    collections = {each for match in matches for each in match.draft.collections}
    places = CollectionCard.objects.filter(
        collection__in=collections, card__in={match.card_id for match in matches}
    )
    return set(places.values_list("collection_id", "card_id")) if collections else set()


def merge_into(card: Card, match: Match) -> bool:
    """Merge a row into a card, without saving it; return whether the row brought anything new.

    Raise CardFull, and change nothing, if the card has no room. Tags are united, notes appended,
    missing reference fields and a missing title filled in, and the earlier date wins. A reference
    sets the card's type. A private card stays private; new content of a private row makes a card
    private. If only the title differs, return True but keep the card's title.
    """
    before, draft = _content(card), match.draft
    text = card.text
    for note in (draft.text, *_notes(card.reference, draft.reference)):
        if one_line(note) not in one_line(text):
            text = f"{text}\n\n{note}".strip()
    tags = list(dict.fromkeys([*card.tags, *draft.tags]))
    if len(text) > TEXT_LENGTH or len(tags) > TAGS_PER_CARD:
        raise CardFull
    card.text, card.tags = text, tags_of(tags)
    card.title = card.title or draft.title
    if draft.reference:
        card.type = draft.type
        card.reference = fit_to_card({**draft.reference, **card.reference})
    card.created_at = min(card.created_at, draft.created_at or card.created_at)
    is_new = _content(card) != before
    # A private note must not become public by joining a public card.
    if draft.visibility == Visibility.PRIVATE and (is_new or match.item.private):
        card.visibility = Visibility.PRIVATE
    return _content(card) != before or one_line(draft.title) not in ("", one_line(card.title))


def _notes(kept: Mapping[str, Any], brought: Mapping[str, Any]) -> list[str]:
    """Return the row's abstract and note, where the card has different ones."""
    both = [name for name in MULTILINE_FIELDS if kept.get(name) and brought.get(name)]
    return [brought[name] for name in both if one_line(brought[name]) != one_line(kept[name])]


def _content(card: Card) -> tuple[Any, ...]:
    """Return the values of the fields that a merge may change."""
    return tuple(getattr(card, name) for name in MERGED_FIELDS)


def _save(cards: Sequence[Card]) -> None:
    """Save changed cards with one statement, and record an event for each."""
    if not cards:
        return
    rows = [
        {"id": card.pk, **dict(zip(MERGED_FIELDS, _content(card), strict=True))} for card in cards
    ]
    execute(statements.MERGE, [json.dumps(rows, default=str)], prepare=False)
    with recording(priority=Priority.BULK):
        for card in cards:
            record_update(card)
