"""Reads of cards and collections; who may see what is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.models import User
from accounts.queries import follower_ranges, has_very_many_followers
from cards.events import CardAdded, CardsImported
from cards.models import Card, Collection, CollectionCard, Visibility
from events.envelope import KeyRange, Recorded

UNSEEN = "There is no collection with this id that you can see."


def public(*, by: str, at: str = "") -> Q:
    """Return the condition of what everybody may see: public, and by somebody who is active.

    `by` names the person's field, and `at` the relation to the object, as `card__`.
    """
    return Q(**{f"{at}visibility": Visibility.PUBLIC, f"{at}{by}__is_active": True})


def visible(viewer: Any, *, by: str, at: str = "") -> Q:
    """Return the condition of what one person may see: what everybody may, and what is theirs.

    `viewer` is an id, or an expression for one.
    """
    return public(by=by, at=at) | Q(**{f"{at}{by}_id": viewer})


def public_cards() -> QuerySet[Card]:
    """Return the cards that everybody may see."""
    return Card.objects.filter(public(by="curator"))


def visible_cards(user: User) -> QuerySet[Card]:
    """Return the cards that one person may see."""
    return Card.objects.filter(visible(user.pk, by="curator"))


def own_cards(user: User) -> QuerySet[Card]:
    """Return a person's library."""
    return Card.objects.filter(curator_id=user.pk)


def library(
    user: User,
    *,
    q: Sequence[str] = (),
    tag: Sequence[str] = (),
    collection: UUID | None = None,
    host: str = "",
    url: str = "",
    **fields: str,
) -> QuerySet[Card]:
    """Return what fits of a person's library; raise ValidationError for an unseen collection.

    `q` has words, each of which is in the title, the text or the address; `url` is canonical.
    `fields` are exact: `type`, `visibility`.
    """
    found = own_cards(user).filter(**fields)
    for word in q:
        found = found.filter(
            Q(title__icontains=word) | Q(text__icontains=word) | Q(link__icontains=word)
        )
    if tag:
        found = found.filter(tags__contains=list(tag))
    if collection:
        # As for one that does not exist: else it would tell what somebody keeps in private.
        if not visible_collections(user).filter(pk=collection).exists():
            raise ValidationError({"collection": ValidationError(UNSEEN, code="does_not_exist")})
        found = found.filter(places__collection_id=collection)
    if host:
        found = found.filter(url__host=host)
    return found.filter(url__canonical=url) if url else found


def cards_about(canonical_url: str, *, viewer: User) -> QuerySet[Card]:
    """Return all that the viewer may see of what was saved about a page."""
    return visible_cards(viewer).filter(url__canonical=canonical_url)


def cards_like(card_id: UUID, *, viewer: User) -> QuerySet[Card]:
    """Return the visible cards about the page of a visible card, itself included.

    There are none for a card without an address.
    """
    pages = visible_cards(viewer).filter(pk=card_id).values("url_id")
    return visible_cards(viewer).filter(url_id__in=pages)


def with_representation(
    cards: QuerySet[Card], *, viewer: User | None = None, own: bool = False
) -> QuerySet[Card]:
    """Read along all that `cards.serializers.CardSerializer` shows: one query in all.

    Without a viewer, it is what everybody may see of the cards. `own` cards are each shown to their
    curator.
    """
    read = cards.select_related("curator", "url__metadata")
    return read.annotate(shown_parent_id=shown_parent(viewer, own=own))


def shown_parent(viewer: User | None, *, own: bool = False, at: str = "") -> Subquery:
    """Return the id of a card's parent, if the viewer may know it.

    A private parent is known to its curator alone, and only below a card of the same curator: what
    a feed shows of others' cards is then the same for all of its readers.
    """
    known = public(by="curator")
    same = Q(curator_id=OuterRef(f"{at}curator_id"))
    if own:
        known |= same
    elif viewer is not None:
        known |= same & Q(curator_id=viewer.pk)
    parents = Card.objects.filter(known, pk=OuterRef(f"{at}parent_id"))
    return Subquery(parents.values("pk")[:1])


def visible_collections(user: User) -> QuerySet[Collection]:
    """Return the collections that one person may see."""
    return Collection.objects.filter(visible(user.pk, by="owner")).select_related("owner")


def own_collections(user: User) -> QuerySet[Collection]:
    """Return a person's collections."""
    return Collection.objects.filter(owner_id=user.pk).select_related("owner")


def places_in(collection: Collection, *, viewer: User) -> QuerySet[CollectionCard]:
    """Return the places of a collection whose cards the viewer may see."""
    seen = visible(viewer.pk, by="curator", at="card__")
    return with_cards(CollectionCard.objects.filter(seen, collection=collection), viewer=viewer)


def with_cards(
    places: QuerySet[CollectionCard], *, viewer: User | None = None
) -> QuerySet[CollectionCard]:
    """Read along what is shown of the cards in places, as `with_representation` does."""
    read = places.select_related("card__curator", "card__url__metadata")
    return read.annotate(shown_parent_id=shown_parent(viewer, at="card__"))


# A condition in SQL: nothing that `ranges_of_followers` would split.
FEW_FOLLOWERS = "NOT " + has_very_many_followers("(event.data->>'curator_id')::bigint")


def ranges_of_followers(
    events: Sequence[Recorded[CardAdded | CardsImported]],
) -> dict[UUID, list[KeyRange]]:
    """Return, for events whose curator has very many followers, ranges of their ids."""
    ranges = follower_ranges({recorded.event.curator_id for recorded in events})
    return {
        recorded.id: ranges[recorded.event.curator_id]
        for recorded in events
        if recorded.event.curator_id in ranges
    }


# For sources of the live stream, after the relation `since`: cards that were changed or removed of
# late, if everybody could see them before, or can now. Of others, a reset would tell that there is
# something.
CHANGED_CARDS = """
    changed AS MATERIALIZED (
        SELECT event.card_id, event.curator_id, event.written,
               coalesce(card.visibility = 'PUBLIC', false) AS is_public
        FROM (
            SELECT id, subject, (data ->> 'card_id')::uuid AS card_id,
                   (data ->> 'curator_id')::bigint AS curator_id, xmin AS written
            FROM events_event
            WHERE type IN ('card.updated', 'card.removed') AND id >= %(earliest)s
              AND age(xmin) BETWEEN 0 AND (SELECT max(age(horizon)) FROM since)
            OFFSET 0
        ) event
        LEFT JOIN cards_card card ON card.id = event.card_id
        WHERE card.visibility = 'PUBLIC' OR 'PUBLIC' = (
            SELECT data ->> 'visibility' FROM events_event before
            WHERE before.subject = event.subject AND before.id < event.id
            ORDER BY before.id DESC LIMIT 1
        )
    )
"""
