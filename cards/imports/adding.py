"""Adding the rows of a batch: each becomes a card, is known, or is refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import DataError, IntegrityError, transaction

from accounts.models import User
from cards import limits
from cards.imports import statements
from cards.imports.drafts import Wishes, draft_of, joined, names_of
from cards.imports.items import Item, Problem, identity
from cards.imports.subscribing import subscribe
from cards.models import Card, Collection, Import, Visibility
from cards.services import AddedCard, CardDraft, RefusedCard, add_cards, place
from events.sql import execute

REFUSED_BY_DATABASE = "The database does not take this row."


@dataclass
class Outcome:
    """What became of the rows of a batch."""

    added: int = 0
    known: int = 0
    public: list[UUID] = field(default_factory=list)  # of the cards that were added
    problems: list[Problem] = field(default_factory=list)

    def __iadd__(self, other: Outcome) -> Outcome:
        self.added += other.added
        self.known += other.known
        self.public += other.public
        self.problems += other.problems
        return self


def add_items(job: Import, items: Sequence[Item]) -> Outcome:
    """This adds the rows of a batch, in a few statements; a row that it chokes on goes alone.

    It runs in a transaction, and repeats nothing: what has been imported before is known.
    """
    try:
        with transaction.atomic():
            return _Adding(job, items).run()
    except (DataError, IntegrityError):
        if len(items) == 1:
            return Outcome(problems=[problem_of(items[0], "invalid", REFUSED_BY_DATABASE)])
        outcome = Outcome()
        for item in items:
            outcome += add_items(job, [item])
        return outcome


def problem_of(item: Item, code: str, detail: str) -> Problem:
    """This answers why a row was refused."""
    return Problem(line=item.line, code=code, detail=detail, label=item.label)


def wishes_of(job: Import) -> Wishes:
    """This answers what the owner wants, without a collection that has been removed since."""
    wishes = Wishes.of(job.options)
    if wishes.collection is None:
        return wishes
    own = Collection.objects.filter(owner=job.owner_id, pk=wishes.collection)
    return wishes if own.exists() else replace(wishes, collection=None)


class _Adding:
    """The rows of one batch on their way."""

    def __init__(self, job: Import, items: Sequence[Item]) -> None:
        self.job, self.owner = job, job.owner
        self.wishes = wishes_of(job)
        self.outcome = Outcome()
        self.feeds = [item for item in items if item.feed]
        # The reader has made the collections that there were not.
        self.outcome.known += sum(bool(item.folder) for item in items)
        self.unique: dict[UUID, Item] = {}
        for item in items:
            if not (item.feed or item.folder):
                self._take(item)
        self.collections = collections_named(
            self.owner, [name for item in self.unique.values() for name in names_of(item)]
        )

    def _take(self, item: Item) -> None:
        key = identity(item.source, item.guid)
        if key in self.unique:
            self.outcome.known += 1
            item = joined(self.unique[key], item)
        self.unique[key] = item

    def run(self) -> Outcome:
        """This adds them."""
        new, known = self._divided()
        self.outcome.known += len(known)
        self._place(known)
        self._add(new)
        if self.feeds:
            self._subscribe()
        return self.outcome

    def _divided(self) -> tuple[list[UUID], dict[UUID, UUID | None]]:
        """This claims what is new, and answers it, and what is known with its cards."""
        keys = list(self.unique)
        claimed = {row[0] for row in self._execute(statements.CLAIM, identities=keys)}
        old = [key for key in keys if key not in claimed]
        known = dict(self._execute(statements.KNOWN_AND_HELD, identities=old)) if old else {}
        if self.job.source_kind != Import.Source.FEED:
            # Somebody who brings again what they had removed wants it back.
            known = {key: card for key, card in known.items() if card}
        known |= self._own_cards([key for key in keys if key not in known])
        return [key for key in keys if key not in known], known

    def _own_cards(self, keys: Sequence[UUID]) -> dict[UUID, UUID | None]:
        """This answers the cards that come back from an export of the library that they are in."""
        guids = {
            key: self.unique[key].guid for key in keys if self.unique[key].source == "commonplace"
        }
        ids = {key: UUID(guid) for key, guid in guids.items() if is_id(guid)}
        if not ids:
            return {}
        own = Card.objects.filter(curator=self.owner, pk__in=ids.values())
        found = set(own.values_list("pk", flat=True))
        return {key: id for key, id in ids.items() if id in found}

    def _place(self, known: dict[UUID, UUID | None]) -> None:
        """This puts cards that came before into the folders in which they come now."""
        if self.job.source_kind == Import.Source.FEED:
            return
        pairs = [
            (collection, card)
            for key, card in known.items()
            if card
            for collection in self._collections_of(self.unique[key])
        ]
        if pairs:
            place(pairs, added_by=self.owner, import_id=self.job.pk)

    def _collections_of(self, item: Item) -> list[UUID]:
        return [self.collections[name] for name in names_of(item) if name in self.collections]

    def _add(self, new: Sequence[UUID]) -> None:
        drafts: dict[UUID, CardDraft] = {}
        for key in new:
            item = self.unique[key]
            if len(item.url) > limits.LINK_LENGTH:
                detail = f"The address is longer than {limits.LINK_LENGTH} characters."
                self.outcome.problems.append(problem_of(item, "invalid_url", detail))
            else:
                drafts[key] = draft_of(item, self.wishes, self._collections_of(item))
        cards: dict[UUID, Card] = {}
        outcomes = add_cards(
            curator=self.owner, drafts=list(drafts.values()), import_id=self.job.pk
        ) if drafts else []  # fmt: skip
        for key, outcome in zip(drafts, outcomes, strict=True):
            self._note(self.unique[key], outcome)
            if isinstance(outcome, AddedCard):
                cards[key] = outcome.card
        self._remember(new, cards)

    def _note(self, item: Item, outcome: AddedCard | RefusedCard) -> None:
        if isinstance(outcome, RefusedCard):
            error = next(error for errors in outcome.errors.values() for error in errors)
            detail = " ".join(error.messages)
            self.outcome.problems.append(problem_of(item, error.code or "invalid", detail))
        elif outcome.created:
            self.outcome.added += 1
            if outcome.card.visibility == Visibility.PUBLIC:
                self.outcome.public.append(outcome.card.pk)
        else:
            self.outcome.known += 1

    def _remember(self, new: Sequence[UUID], cards: dict[UUID, Card]) -> None:
        """This keeps what each item became; what was refused may come again, mended."""
        parents = [self.unique[key] for key in cards]
        self._execute(
            statements.BECAME,
            identities=list(cards),
            cards=[card.pk for card in cards.values()],
            parents=[identity(p.source, p.parent) if p.parent else None for p in parents],
        )
        if self.job.source_kind == Import.Source.FEED:
            return  # what a feed has wrong is no news the next time
        if refused := [key for key in new if key not in cards]:
            self._execute(statements.RELEASE, identities=refused)

    def _subscribe(self) -> None:
        subscribed, refused = subscribe(self.owner, self.feeds, options=self.job.options)
        self.outcome.added += subscribed
        self.outcome.known += len(self.feeds) - subscribed - len(refused)
        self.outcome.problems += refused

    def _execute(self, statement: str, **parameters: object) -> list[tuple[UUID, UUID | None]]:
        return execute(statement, {"owner": self.owner.pk, **parameters}, prepare=False).rows


def is_id(text: str) -> bool:
    """This says whether a text is the id of a card."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def collections_named(owner: User, names: Sequence[str]) -> dict[str, UUID]:
    """This answers the ids of the owner's collections of these names, the oldest of each name."""
    found = Collection.objects.filter(owner=owner, name__in=set(names)).order_by("-id")
    return dict(found.values_list("name", "pk")) if names else {}
