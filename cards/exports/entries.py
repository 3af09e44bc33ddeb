"""What is exported, read in pages: so that memory is bounded, however large a library is.

Pages by key and not a cursor of the server's: with a cursor, PostgreSQL would put the whole result
by before it answers the first row, and a web process waits for 5 seconds at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import User
from cards.imports.models import FeedSubscription
from cards.models import Card, Collection, CollectionCard, Visibility
from cards.queries import with_representation

# Cards have up to 40 KB each, and wait here for as long as a reader is slow.
PAGE = 100


@dataclass(frozen=True)
class Entry:
    """A card, and the names of its collections, with who may see each."""

    card: Card
    visibilities: dict[str, str]

    @property
    def collections(self) -> list[str]:
        """The names of the collections."""
        return list(self.visibilities)


@dataclass(frozen=True)
class Selection:
    """Which cards are exported, and for whom."""

    viewer: User
    cards: QuerySet[Card]
    collection: Collection | None = None

    def entries(self, cards: QuerySet[Card] | None = None) -> Iterator[Entry]:
        """Return the cards, the oldest first."""
        chosen = self.cards if cards is None else cards
        last: UUID | None = None
        while page := list(self._after(chosen, last)[:PAGE]):
            places = self._places([card.pk for card in page])
            for card in page:
                yield Entry(card, places[card.pk])
            last = page[-1].pk
            if len(page) < PAGE:
                return

    def collections(self) -> QuerySet[Collection]:
        """Return the collections that are exported along."""
        own = Q(owner=self.viewer)
        if self.collection:
            return Collection.objects.filter(pk=self.collection.pk)
        return Collection.objects.filter(own).order_by("id")

    def within(self, collection: Collection) -> Iterator[Entry]:
        """Return the cards that are in a collection."""
        places = CollectionCard.objects.filter(collection=collection)
        return self.entries(self.cards.filter(pk__in=places.values("card_id")))

    def outside(self) -> Iterator[Entry]:
        """Return the cards that are in none."""
        places = CollectionCard.objects.filter(collection__in=self.collections())
        return self.entries(self.cards.exclude(pk__in=places.values("card_id")))

    def subscriptions(self) -> QuerySet[FeedSubscription]:
        """Return the feeds that go along with a whole library."""
        found = FeedSubscription.objects.filter(owner=self.viewer)
        return found.none() if self.collection else found.select_related("feed").order_by("id")

    def names(self) -> dict[str, str]:
        """Return the names of the collections by their ids."""
        found = self.collections().values_list("pk", "name")
        return {str(id): name for id, name in found}

    def _places(self, cards: list[UUID]) -> dict[UUID, dict[str, str]]:
        found: dict[UUID, dict[str, str]] = defaultdict(dict)
        places = CollectionCard.objects.filter(card__in=cards, collection__in=self.collections())
        named = places.order_by("id").values_list(
            "card_id", "collection__name", "collection__visibility"
        )
        for card, name, visibility in named:
            # Of two that have one name: what may be private is.
            if found[card].get(name) != Visibility.PRIVATE:
                found[card][name] = visibility
        return found

    def _after(self, cards: QuerySet[Card], last: UUID | None) -> QuerySet[Card]:
        found = with_representation(cards, viewer=self.viewer).order_by("id")
        return found.filter(pk__gt=last) if last else found
