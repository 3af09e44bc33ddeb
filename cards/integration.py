"""What other systems see of cards: the public ones, with the fields listed here and no others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.utils import timezone

from accounts.models import Visibility
from cards.events import CardAdded, CardRemoved, CardUpdated
from cards.queries import public_cards
from cards.signals import card_added, card_imported, card_removed, card_updated
from eventbook import Recorded, history, integration_event, translates
from eventbook.database import seconds_of

# The types of events that say how visible a card was.
VISIBILITY_EVENTS = ("card.added", "card.imported", "card.updated")


@integration_event("commonplace.card.published", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardPublished:
    """A card was added or changed, and everybody may see it.

    The fields are those of the card when the event leaves, which may be later than the change.
    """

    card_id: UUID
    card_type: str
    curator: str
    title: str
    url: str | None

    @property
    def subject(self) -> str:
        return f"cards/{self.card_id}"


@integration_event("commonplace.card.withdrawn", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardWithdrawn:
    """A card that was public was removed or made private: others must forget it."""

    card_id: UUID

    @property
    def subject(self) -> str:
        return f"cards/{self.card_id}"


@translates(card_added, makes=[CardPublished])
@translates(card_imported, makes=[CardPublished])
def publish_added(events: Sequence[Recorded[CardAdded]]) -> dict[UUID, CardPublished]:
    """Publish the added cards that are public now."""
    published = _published({recorded.event.card_id for recorded in events})
    return {
        recorded.id: published[recorded.event.card_id]
        for recorded in events
        if recorded.event.card_id in published
    }


@translates(card_updated, makes=[CardPublished, CardWithdrawn])
@translates(card_removed, makes=[CardWithdrawn])
def publish_changed(
    events: Sequence[Recorded[CardUpdated | CardRemoved]],
) -> dict[UUID, CardPublished | CardWithdrawn]:
    """Publish the changed cards that are public now, and withdraw others that were public."""
    changed = {recorded.event.card_id for recorded in events}
    published = _published(changed)
    withdrawn = _once_public(changed - published.keys())
    found: dict[UUID, CardPublished | CardWithdrawn] = {}
    for recorded in events:
        card_id = recorded.event.card_id
        if card_id in published:
            found[recorded.id] = published[card_id]
        elif card_id in withdrawn:
            found[recorded.id] = CardWithdrawn(card_id=card_id)
    return found


def _published(ids: Collection[UUID]) -> dict[UUID, CardPublished]:
    """Return what others see of those cards that are public now, by id."""
    cards = public_cards().filter(pk__in=ids).select_related("curator", "url")
    return {
        card.pk: CardPublished(
            card_id=card.pk,
            card_type=card.type,
            curator=card.curator.username,
            title=card.title,
            url=card.url.canonical if card.url else None,
        )
        for card in cards
    }


def _once_public(ids: Collection[UUID]) -> set[UUID]:
    """Return the cards that may have been public: others never learn of a card that was not.

    A card whose first events may have been deleted counts as one that was public.
    """
    subjects = {f"cards/{id}": id for id in ids}
    events = history.until(
        timezone.now(), subject__in=list(subjects), type__in=VISIBILITY_EVENTS,
        data__visibility=Visibility.PUBLIC,
    )  # fmt: skip
    found = {subjects[subject] for subject in events.values_list("subject", flat=True)}
    return found | {id for id in ids if not _is_history_kept(id)}


def _is_history_kept(card_id: UUID) -> bool:
    """Return whether all events of a card are still stored; its id has the time of its adding."""
    try:
        history.require_kept(datetime.fromtimestamp(seconds_of(card_id), UTC))
    except history.HistoryPruned:
        return False
    return True
