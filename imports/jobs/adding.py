"""Add the rows of a batch. Each row ends as added, known, merged into a card, or refused.

A row is *known* when it was imported before or brings nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction

from accounts.models import User, Visibility
from cards.limits import LINK_LENGTH
from cards.models import Card, Collection
from cards.services import AddedCard, CardDraft, RefusedCard, add_cards, place
from eventbook.database import execute
from imports.files.items import Item, Problem, digest, identity
from imports.jobs import statements
from imports.jobs.drafts import ImportOptions, collection_names_of, draft_of
from imports.jobs.merging import Match, merge
from imports.models import Import
from imports.subscriptions.subscribing import TOO_LONG, subscribe

REFUSED_BY_DATABASE = "The database refused this row."
NO_ROOM = (
    "You saved this page before, and its card has no room for this row's note or tags."
    " Shorten them and import the row again."
)


@dataclass
class Outcome:
    """The result of a batch: each row counts as added, known, merged or a problem."""

    added: int = 0
    known: int = 0
    public: list[UUID] = field(default_factory=list)  # the public ones of the added cards
    merges: list[tuple[Item, UUID]] = field(default_factory=list)  # each with its card's id
    problems: list[Problem] = field(default_factory=list)

    def __iadd__(self, other: Outcome) -> Outcome:
        self.added += other.added
        self.known += other.known
        self.public += other.public
        self.merges += other.merges
        self.problems += other.problems
        return self


def add_items(job: Import, items: Sequence[Item]) -> Outcome:
    """Add the rows of a batch in a few statements. If PostgreSQL refuses a row, add each alone.

    Call within a transaction. Calling again is harmless: rows imported before are known.
    """
    try:
        with transaction.atomic():
            return _BatchAdder(job, items).run()
    except (DataError, IntegrityError):
        if len(items) == 1:
            return Outcome(problems=[items[0].problem("invalid", REFUSED_BY_DATABASE)])
        outcome = Outcome()
        for item in items:
            outcome += add_items(job, [item])
        return outcome


def options_of(job: Import) -> ImportOptions:
    """Return the owner's options for an import, without a collection that was removed since."""
    options = ImportOptions.of(job.options, job.owner)
    if options.collection is None:
        return options
    own = Collection.objects.filter(owner=job.owner_id, pk=options.collection)
    return options if own.exists() else replace(options, collection=None)


class _BatchAdder:
    """The state of adding one batch. A *key* is the identity of an item (`items.identity`)."""

    def __init__(self, job: Import, items: Sequence[Item]) -> None:
        self.job, self.owner = job, job.owner
        self.options = options_of(job)
        self.is_feed = job.source_kind == Import.Source.FEED
        self.outcome = Outcome()
        self.feeds = [item for item in items if item.feed]
        # The reader has created all missing collections already.
        self.outcome.known += sum(bool(item.folder) for item in items)
        self.rows = [
            (identity(item.source, item.guid), item)
            for item in items
            if not (item.feed or item.folder)
        ]
        named = [*self.feeds, *(item for _, item in self.rows)]
        self.collections = collections_named(
            self.owner, [name for item in named for name in collection_names_of(item)]
        )
        self.cards: dict[UUID, UUID] = {}  # card ids by item key
        # Keys of items that created a card.
        self.created: set[UUID] = set()
        # Keys of items that an earlier batch gave a card.
        self.known_before: set[UUID] = set()
        # Keys of items that were exported from a card of the owner.
        self.exported: set[UUID] = set()
        # Keys of items that match a card by its page.
        self.by_page: set[UUID] = set()
        # Digests of the rows that each item's card got from earlier batches.
        self.digests_before: dict[UUID, list[UUID]] = {}
        # Items and digests of the rows that their cards get from this batch.
        self.digests_now: dict[tuple[UUID, UUID], None] = {}

    def run(self) -> Outcome:
        """Turn new items into cards, and merge the other rows into existing cards."""
        first = dict(reversed(self.rows))  # the first row of each item
        known = self._claim(list(first))
        new = [key for key in dict(self.rows) if key not in known]
        refused = self._add([(key, first[key], self._draft(first[key])) for key in new])
        handled = {id(first[key]) for key in new if key in refused or key in self.created}
        remaining = [(key, item) for key, item in self.rows if id(item) not in handled]
        for key, item in remaining:
            if key in refused:
                self.outcome.problems.append(item.problem(*refused[key]))
        self._merge([(key, item) for key, item in remaining if key not in refused])
        self._store_cards(first)
        if self.feeds:
            self._subscribe()
        return self.outcome

    def _claim(self, keys: list[UUID]) -> set[UUID]:
        """Claim new items, so that no other batch adds them; return the keys of items not to add.

        These have a card already, which is recorded, or come from a feed and were claimed before.
        """
        claimed = {row[0] for row in self._execute(statements.CLAIM, identities=keys)}
        old = [key for key in keys if key not in claimed]
        held = self._execute(statements.LOCK_KNOWN, identities=old) if old else []
        self.digests_before = {key: digests for key, _, digests in held}
        self.cards = {key: card for key, card, _ in held if card}
        self.known_before = set(self.cards)
        # Importing a file again restores cards that the owner removed. A feed doesn't: its entries
        # come again with every refresh.
        known = {key for key, card, _ in held if card or self.is_feed}
        exported = exported_cards(self.owner.pk, self.rows)
        self.cards |= exported
        self.exported = set(exported)
        return known | self.exported

    def _draft(self, item: Item) -> CardDraft:
        """Return the draft of an item's card, with the existing collections that the item names."""
        wanted = [
            self.collections[name] for name in collection_names_of(item) if name in self.collections
        ]
        return draft_of(item, self.options, wanted)

    def _add(self, rows: Sequence[tuple[UUID, Item, CardDraft]]) -> dict[UUID, tuple[str, str]]:
        """Add cards, or find those of pages saved before; return refusals (code, detail) by key."""
        refused = {
            key: ("invalid_url", TOO_LONG) for key, item, _ in rows if len(item.url) > LINK_LENGTH
        }
        fitting = [row for row in rows if row[0] not in refused]
        drafts = [draft for _, _, draft in fitting]
        outcomes = (
            add_cards(curator=self.owner, drafts=drafts, import_id=self.job.pk) if drafts else []
        )
        for (key, item, _), outcome in zip(fitting, outcomes, strict=True):
            if isinstance(outcome, RefusedCard):
                error = next(error for errors in outcome.errors.values() for error in errors)
                refused[key] = error.code or "invalid", " ".join(error.messages)
            else:
                self._record(key, item, outcome)
        for key, item, _ in rows:
            if key in refused:
                self.outcome.problems.append(item.problem(*refused[key]))
        return refused

    def _record(self, key: UUID, item: Item, outcome: AddedCard) -> None:
        """Record the card of a new item: created, or found by its page."""
        self.cards[key] = outcome.card.pk
        (self.created if outcome.created else self.by_page).add(key)
        if outcome.created:
            self.by_page.discard(key)
            self.digests_now[key, digest(item)] = None
            self.outcome.added += 1
            if outcome.card.visibility == Visibility.PUBLIC:
                self.outcome.public.append(outcome.card.pk)

    def _merge(self, rows: Sequence[tuple[UUID, Item]]) -> None:
        """Merge rows into existing cards; rows that bring nothing new count as known."""
        matches = []
        for key, item in rows:
            is_first = (key, digest(item)) not in self.digests_now
            if is_first and key in self.cards and self._should_merge(key, item):
                self.digests_now[key, digest(item)] = None
                by_page = key in self.by_page
                matches.append(Match(key, item, self._draft(item), self.cards[key], by_page))
            else:
                self.outcome.known += 1
        with_card = [(key, item) for key, item in rows if key in self.cards]
        result = merge(self.owner, matches)
        self.outcome.known += len(result.known)
        self.outcome.merges += [(each.item, each.card_id) for each in result.merged]
        for each in result.refused + result.different_works:
            self.digests_now.pop((each.key, digest(each.item)), None)
        for each in result.refused:
            self.outcome.problems.append(each.item.problem("no_room", NO_ROOM))
        self._add_different_works(result.different_works)
        self._place(with_card)

    def _should_merge(self, key: UUID, item: Item) -> bool:
        """Return whether to merge a row into the card that it matches.

        An exported row never changes the card it was exported from: the card may have been edited
        since. A feed only changes cards that were created by this batch.
        """
        if key in self.exported:
            return False
        if self.is_feed and self.cards[key] not in {self.cards[each] for each in self.created}:
            return False
        return digest(item) not in self.digests_before.get(key, ())

    def _add_different_works(self, works: Sequence[Match]) -> None:
        """Add cards for different works that share a page with an existing card."""
        rows = {each.key: each for each in reversed(works)}
        if rows:
            wanted = [(m.key, m.item, replace(m.draft, shares_page=True)) for m in rows.values()]
            self._add(wanted[::-1])
            self._merge([(m.key, m.item) for m in works if m is not rows[m.key]])

    def _place(self, rows: Sequence[tuple[UUID, Item]]) -> None:
        """Put existing cards into the collections that their rows name, unless from a feed."""
        pairs = [
            (collection, self.cards[key])
            for key, item in rows
            for collection in self._draft(item).collections
        ]
        if pairs and not self.is_feed:
            place(pairs, added_by=self.owner, import_id=self.job.pk)

    def _store_cards(self, first: dict[UUID, Item]) -> None:
        """Store each item's card; release refused items, so that a corrected row can be added."""
        cards = {key: card for key, card in self.cards.items() if key not in self.known_before}
        parents = [first[key] for key in cards]
        self._execute(
            statements.SET_CARDS,
            identities=list(cards),
            cards=list(cards.values()),
            parents=[identity(p.source, p.parent) if p.parent else None for p in parents],
        )
        keys, digests = zip(*self.digests_now, strict=True) if self.digests_now else ((), ())
        self._execute(statements.ADD_DIGESTS, identities=list(keys), digests=list(digests))
        if self.is_feed:
            return  # refused feed entries stay claimed, or each refresh would report them again
        if refused := [key for key in first if key not in self.cards]:
            self._execute(statements.RELEASE, identities=refused)

    def _subscribe(self) -> None:
        """Subscribe to the feeds of the batch, and count the results."""
        subscribed, refused = subscribe(
            self.owner, self.feeds, options=self.job.options, collections=self.collections
        )
        self.outcome.added += subscribed
        self.outcome.known += len(self.feeds) - subscribed - len(refused)
        self.outcome.problems += refused

    def _execute(self, statement: str, **parameters: object) -> list[tuple[Any, ...]]:
        return execute(statement, {"owner": self.owner.pk, **parameters}, prepare=False).rows


def exported_cards(owner_id: int, rows: Iterable[tuple[UUID, Item]]) -> dict[UUID, UUID]:
    """Return the ids of the owner's cards from which items were exported, by item key."""
    ids: dict[UUID, UUID] = {}
    for key, item in rows:
        if item.source == "commonplace":
            with suppress(ValueError):  # an edited file may have anything as id
                ids[key] = UUID(item.guid)
    own = Card.objects.filter(curator=owner_id, pk__in=ids.values())
    found = set(own.values_list("pk", flat=True))
    return {key: id for key, id in ids.items() if id in found}


def collections_named(owner: User, names: Sequence[str]) -> dict[str, UUID]:
    """Return the ids of the owner's collections by name; of equal names, the oldest one's."""
    found = Collection.objects.filter(owner=owner, name__in=set(names)).order_by("-id")
    return dict(found.values_list("name", "pk")) if names else {}
