"""Read the cards of an export in pages by key, so that memory use doesn't grow with the library.

A server-side cursor is no alternative: PostgreSQL would compute the whole result before the first
row, and a statement of a web process may take 5 seconds at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import User, Visibility
from cards.models import Card, Collection, CollectionCard
from cards.queries import with_representation
from imports.models import FeedSubscription

# Cards per page. A card has up to 40 KB, and a page stays in memory while a slow client reads it.
PAGE = 100


@dataclass(frozen=True)
class Entry:
    """A card of an export; `visibilities` maps the names of its collections to their visibility."""

    card: Card
    visibilities: dict[str, str]

    @property
    def collections(self) -> list[str]:
        """Return the names of the card's collections."""
        return list(self.visibilities)


@dataclass(frozen=True)
class Selection:
    """The cards to export, and the user who exports them.

    `collection` is set if only that collection is exported.
    """

    viewer: User
    cards: QuerySet[Card]
    collection: Collection | None = None

    def entries(self, cards: QuerySet[Card] | None = None) -> Iterator[Entry]:
        """Yield the cards, oldest first; all of the selection unless `cards` are given."""
        chosen = self.cards if cards is None else cards
        last: UUID | None = None
        while page := list(self._after(chosen, last)[:PAGE]):
            places = self._places([card.pk for card in page])
            for card in page:
                yield Entry(card, places[card.pk])
            last = page[-1].pk
            if len(page) < PAGE:
                return

    def references(self) -> Iterator[Entry]:
        """Yield the cards with a reference or an address, oldest first; notes have neither."""
        return (entry for entry in self.entries() if entry.card.link or entry.card.reference)

    def collections(self) -> QuerySet[Collection]:
        """Return the collections that the export names: the chosen one, or all of the user's."""
        if self.collection:
            return Collection.objects.filter(pk=self.collection.pk)
        return Collection.objects.filter(owner=self.viewer).order_by("id")

    def entries_in(self, collection: Collection) -> Iterator[Entry]:
        """Yield the cards that are in a collection."""
        places = CollectionCard.objects.filter(collection=collection)
        return self.entries(self.cards.filter(pk__in=places.values("card_id")))

    def entries_outside(self) -> Iterator[Entry]:
        """Yield the cards that are in none of the exported collections."""
        places = CollectionCard.objects.filter(collection__in=self.collections())
        return self.entries(self.cards.exclude(pk__in=places.values("card_id")))

    def subscriptions(self) -> QuerySet[FeedSubscription]:
        """Return the user's feed subscriptions; none if only one collection is exported."""
        found = FeedSubscription.objects.filter(owner=self.viewer)
        return found.none() if self.collection else found.select_related("feed").order_by("id")

    def names(self) -> dict[str, str]:
        """Return the names of the exported collections by id."""
        found = self.collections().values_list("pk", "name")
        return {str(id): name for id, name in found}

    def _places(self, cards: list[UUID]) -> dict[UUID, dict[str, str]]:
        """Return, by card id, the names and visibilities of the card's exported collections."""
        found: dict[UUID, dict[str, str]] = defaultdict(dict)
        places = CollectionCard.objects.filter(card__in=cards, collection__in=self.collections())
        named = places.order_by("id").values_list(
            "card_id", "collection__name", "collection__visibility"
        )
        for card, name, visibility in named:
            # If two collections have the same name and one is private, the name counts as private.
            if found[card].get(name) != Visibility.PRIVATE:
                found[card][name] = visibility
        return found

    def _after(self, cards: QuerySet[Card], last: UUID | None) -> QuerySet[Card]:
        found = with_representation(cards, viewer=self.viewer).order_by("id")
        return found.filter(pk__gt=last) if last else found
