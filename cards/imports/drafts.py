"""How what was read becomes a card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import User
from cards import limits
from cards.imports.items import Item, one_line
from cards.imports.references import fitted
from cards.models import Card, Visibility
from cards.services import CardDraft


@dataclass(frozen=True)
class Wishes:
    """What the owner of an import wants of all its cards."""

    visibility: str = ""
    # Where neither the request nor the file says it.
    otherwise: str = Visibility.PRIVATE
    collection: UUID | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], owner: User) -> Wishes:
        """Return the wishes that an import keeps as JSON, and its owner's own setting."""
        collection = options.get("collection")
        return cls(
            visibility=options.get("visibility") or "",
            otherwise=owner.import_visibility,
            collection=UUID(collection) if collection else None,
        )

    def visibility_of(self, item: Item) -> str:
        """Return who may see an item: nothing makes public what its file calls private."""
        if item.private:
            return Visibility.PRIVATE
        stated = Visibility.PUBLIC if item.private is False else self.otherwise
        return self.visibility or stated


def draft_of(item: Item, wishes: Wishes, collections: Sequence[UUID]) -> CardDraft:
    """Return the card that an item is to be; what is too long of it is cut."""
    reference = fitted(item.reference) if item.reference else {}
    title = one_line(item.title) or (_title_of(reference) or item.url if item.reference else "")
    text = item.text
    if len(title) > limits.TITLE_LENGTH:
        text = f"{title}\n\n{text}".strip()  # so that nothing is lost
        title = title[: limits.TITLE_LENGTH - 1].rstrip() + "…"
    kind = Card.Type.REFERENCE if item.reference else Card.Type.URL if item.url else Card.Type.NOTE
    wanted = [wishes.collection] if wishes.collection else []
    return CardDraft(
        type=kind,
        url=item.url,
        title=title,
        text=text[: limits.TEXT_LENGTH],
        tags=tags_of(item.tags),
        reference=reference,
        collections=list(dict.fromkeys([*wanted, *collections]))[: limits.COLLECTIONS_PER_CARD],
        visibility=wishes.visibility_of(item),
        created_at=item.added_at,
    )


def _title_of(reference: Mapping[str, Any]) -> str:
    return str(reference.get("title") or reference.get("container-title") or "")


def tags_of(tags: Iterable[str]) -> list[str]:
    """Return tags without doubles, each of a length that fits."""
    found = (one_line(tag)[: limits.TAG_LENGTH].strip() for tag in tags)
    return list(dict.fromkeys(tag for tag in found if tag))[: limits.TAGS_PER_CARD]


def names_of(item: Item) -> list[str]:
    """Return the names of the collections that an item's folders become."""
    names = (one_line(" / ".join(path)) for path in item.collections)
    return [name[: limits.COLLECTION_NAME_LENGTH].strip() for name in names if name]
