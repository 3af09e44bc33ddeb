"""Merge imported rows into the cards that their owner has of the same item or page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts.models import User, Visibility
from cards.events import CardUpdated
from cards.limits import TAGS_PER_CARD, TEXT_LENGTH
from cards.models import Card, CollectionCard
from cards.services import CardDraft
from cards.signals import card_updated
from eventbook import Priority, recording
from eventbook.database import execute
from imports.files.items import Item, one_line
from imports.files.references import LONG, fitted, is_other_work
from imports.jobs import statements
from imports.jobs.drafts import tags_of

# The fields of a card that a merge may change.
CHANGED = ("type", "title", "text", "tags", "reference", "visibility", "created_at")


@dataclass(frozen=True)
class Meeting:
    """A row, the draft of its card, and the existing card that it matches."""

    key: UUID
    item: Item
    draft: CardDraft
    card_id: UUID
    # Whether only the page is equal: then they may still be different works.
    by_page: bool = False


@dataclass
class Merging:
    """Rows that matched a card, by result. `known` rows brought nothing new."""

    merged: list[Meeting] = field(default_factory=list)
    known: list[Meeting] = field(default_factory=list)
    # Different works that share a page with the card; they get cards of their own.
    others: list[Meeting] = field(default_factory=list)
    # Rows for which the card has no room.
    refused: list[Meeting] = field(default_factory=list)


def merge(owner: User, meetings: Sequence[Meeting]) -> Merging:
    """Merge rows into cards, and return each row's result.

    Call within a transaction: the cards stay locked until it ends, so that edits and other imports
    come entirely before or after the merge.
    """
    outcome = Merging()
    own = Card.objects.select_for_update(no_key=True).filter(curator=owner)
    found = own.filter(pk__in={meeting.card_id for meeting in meetings}).order_by("pk")
    cards = {card.pk: card for card in found}
    before = {card.pk: _content(card) for card in found}
    places = _places(meetings)
    for meeting in meetings:
        card = cards.get(meeting.card_id)
        if card is None:  # removed since the match
            outcome.known.append(meeting)
        elif meeting.by_page and _is_other(card, meeting.draft):
            outcome.others.append(meeting)
        else:
            new_places = {(each, card.pk) for each in meeting.draft.collections} - places
            places |= new_places
            _settle(outcome, meeting, joins(card, meeting), bool(new_places))
    _save([card for card in cards.values() if _content(card) != before[card.pk]])
    return outcome


def _settle(outcome: Merging, meeting: Meeting, changed: bool | None, placed: bool) -> None:
    """Sort a row into the result that it had. `changed` is None if the card has no room."""
    if changed is None:
        outcome.refused.append(meeting)
    else:
        (outcome.merged if changed or placed else outcome.known).append(meeting)


def _is_other(card: Card, draft: CardDraft) -> bool:
    """Return whether a draft and a card are references to different works."""
    if not (card.reference and draft.reference):
        return False
    one, other = ({"title": each.title, **each.reference} for each in (card, draft))
    return is_other_work(one, other)


def _places(meetings: Iterable[Meeting]) -> set[tuple[UUID, UUID]]:
    """Return the existing (collection id, card id) pairs among those that the rows name."""
    collections = {each for meeting in meetings for each in meeting.draft.collections}
    places = CollectionCard.objects.filter(
        collection__in=collections, card__in={meeting.card_id for meeting in meetings}
    )
    return set(places.values_list("collection_id", "card_id")) if collections else set()


def joins(card: Card, meeting: Meeting) -> bool | None:
    """Merge a row into an unsaved card; return whether it brought anything new.

    Return None, and change nothing, if the card has no room. Tags are united, notes are appended,
    missing reference fields and a missing title are filled in, and the earlier date wins. A private
    card stays private; so does the content of a private row. The card keeps its own title. A
    different title of the row counts as new, and is only kept in the list of merged rows.
    """
    before, draft = _content(card), meeting.draft
    text = card.text
    for note in (draft.text, *_notes(card.reference, draft.reference)):
        if one_line(note) not in one_line(text):
            text = f"{text}\n\n{note}".strip()
    tags = list(dict.fromkeys([*card.tags, *draft.tags]))
    if len(text) > TEXT_LENGTH or len(tags) > TAGS_PER_CARD:
        return None
    card.text, card.tags = text, tags_of(tags)
    card.title = card.title or draft.title
    if draft.reference:
        card.type = draft.type
        card.reference = fitted({**draft.reference, **card.reference})
    card.created_at = min(card.created_at, draft.created_at or card.created_at)
    is_new = _content(card) != before
    # A private note must not become public by joining a public card.
    if draft.visibility == Visibility.PRIVATE and (is_new or meeting.item.private):
        card.visibility = Visibility.PRIVATE
    return _content(card) != before or one_line(draft.title) not in ("", one_line(card.title))


def _notes(kept: Mapping[str, Any], brought: Mapping[str, Any]) -> list[str]:
    """Return the row's abstract and note, where the card has different ones."""
    both = [name for name in LONG if kept.get(name) and brought.get(name)]
    return [brought[name] for name in both if one_line(brought[name]) != one_line(kept[name])]


def _content(card: Card) -> tuple[Any, ...]:
    """Return the values of the fields that a merge may change."""
    return tuple(getattr(card, name) for name in CHANGED)


def _save(cards: Sequence[Card]) -> None:
    """Save changed cards with one statement, and record an event for each."""
    if not cards:
        return
    rows = [{"id": card.pk, **dict(zip(CHANGED, _content(card), strict=True))} for card in cards]
    execute(statements.MERGE, [json.dumps(rows, default=str)], prepare=False)
    with recording(priority=Priority.BULK):
        for card in cards:
            event = CardUpdated(
                card_id=card.pk,
                curator_id=card.curator_id,
                url_id=card.url_id,
                visibility=card.visibility,
            )
            card_updated.send(sender=Card, event=event)
