"""Turn imported items into drafts of cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import User, Visibility
from cards.limits import (
    COLLECTIONS_PER_CARD,
    TAG_LENGTH,
    TAGS_PER_CARD,
    TEXT_LENGTH,
    TITLE_LENGTH,
)
from cards.models import Card
from cards.services import CardDraft
from imports.files.bibliography import fit_to_card
from imports.files.items import Item, collection_name, one_line


@dataclass(frozen=True)
class ImportOptions:
    """The owner's choices for all cards of an import."""

    visibility: str = ""
    # The visibility of cards for which neither the request nor the file gives one.
    default_visibility: str = Visibility.PRIVATE
    collection: UUID | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], owner: User) -> ImportOptions:
        """Return the choices stored in an import's `options`, with its owner's own default."""
        collection = options.get("collection")
        return cls(
            visibility=options.get("visibility") or "",
            default_visibility=owner.import_visibility,
            collection=UUID(collection) if collection else None,
        )

    def visibility_of(self, item: Item) -> str:
        """Return the visibility of an item's card. A row marked private always stays private."""
        if item.private:
            return Visibility.PRIVATE
        stated = Visibility.PUBLIC if item.private is False else self.default_visibility
        return self.visibility or stated


def draft_of(item: Item, options: ImportOptions, collections: Sequence[UUID]) -> CardDraft:
    """Return the draft of an item's card, with texts and lists cut to a card's limits."""
    reference = fit_to_card(item.reference) if item.reference else {}
    title = one_line(item.title)
    if item.reference and not title:
        title = reference.get("title") or reference.get("container-title") or item.url
    text = item.text
    if len(title) > TITLE_LENGTH:
        text = f"{title}\n\n{text}".strip()  # keeps the whole title
        title = title[: TITLE_LENGTH - 1].rstrip() + "…"
    kind = Card.Type.REFERENCE if item.reference else Card.Type.URL if item.url else Card.Type.NOTE
    wanted = [options.collection] if options.collection else []
    return CardDraft(
        type=kind,
        url=item.url,
        title=title,
        text=text[:TEXT_LENGTH],
        tags=tags_of(item.tags),
        reference=reference,
        collections=list(dict.fromkeys([*wanted, *collections]))[:COLLECTIONS_PER_CARD],
        visibility=options.visibility_of(item),
        created_at=item.added_at,
    )


def tags_of(tags: Iterable[str]) -> list[str]:
    """Return unique tags, cut to the limits of length and number."""
    found = (one_line(tag)[:TAG_LENGTH].strip() for tag in tags)
    return list(dict.fromkeys(tag for tag in found if tag))[:TAGS_PER_CARD]


def collection_names_of(item: Item) -> list[str]:
    """Return the names of an item's collections: `outer / inner` for nested folders."""
    return [name for name in map(collection_name, item.collections) if name]
