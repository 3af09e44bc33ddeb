"""All reads of cards and collections that depend on visibility: no other module has such rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.models import User, Visibility
from accounts.queries import follower_ranges, has_very_many_followers
from cards.events import CardAdded, CardsImported
from cards.models import Card, Collection, CollectionCard
from eventbook import KeyRange, Recorded

NO_VISIBLE_COLLECTION = "There is no collection with this id that you can see."


def public(*, by: str, at: str = "") -> Q:
    """Return the condition for rows that everybody may see: public, and of an active user.

    `by` is the field of that user, and `at` the lookup prefix of the object, for example `card__`.
    """
    return Q(**{f"{at}visibility": Visibility.PUBLIC, f"{at}{by}__is_active": True})


def visible(viewer: Any, *, by: str, at: str = "") -> Q:
    """Return the condition for rows that one user may see: public rows, and the user's own.

    `viewer` is a user's id, or an expression for it. For `by` and `at` see `public`.
    """
    return public(by=by, at=at) | Q(**{f"{at}{by}_id": viewer})


def public_cards() -> QuerySet[Card]:
    """Return the cards that everybody may see."""
    return Card.objects.filter(public(by="curator"))


def visible_cards(user: User) -> QuerySet[Card]:
    """Return the cards that one user may see."""
    return Card.objects.filter(visible(user.pk, by="curator"))


def own_cards(user: User) -> QuerySet[Card]:
    """Return a user's library: all cards of which the user is the curator."""
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
    """Return the cards of a user's library that match all filters.

    For `q` and `fields` see `matching`. `tag` lists tags, all of which a card must have. `url` is
    canonical. Raise ValidationError if the user may not see the collection.
    """
    found = matching(own_cards(user), q=q, **fields)
    if tag:
        found = found.filter(tags__contains=list(tag))
    if collection:
        # The same error as for a missing collection, so that it doesn't reveal a private one.
        if not visible_collections(user).filter(pk=collection).exists():
            raise ValidationError(
                {"collection": ValidationError(NO_VISIBLE_COLLECTION, code="does_not_exist")}
            )
        found = found.filter(places__collection_id=collection)
    if host:
        found = found.filter(url__host=host)
    return found.filter(url__canonical=url) if url else found


def matching(cards: QuerySet[Card], *, q: Sequence[str] = (), **fields: str) -> QuerySet[Card]:
    """Return the cards that have each word of `q` in title, text or address.

    `fields` may have `type` and `visibility`, which must be equal.
    """
    for word in q:
        has_word = Q(title__icontains=word) | Q(text__icontains=word) | Q(link__icontains=word)
        cards = cards.filter(has_word)
    return cards.filter(**fields)


def cards_about(canonical_url: str, *, viewer: User) -> QuerySet[Card]:
    """Return the cards about a page that the viewer may see."""
    return visible_cards(viewer).filter(url__canonical=canonical_url)


def cards_like(card_id: UUID, *, viewer: User) -> QuerySet[Card]:
    """Return the visible cards about the same page as a visible card, including that card.

    Return none for a card without a page.
    """
    pages = visible_cards(viewer).filter(pk=card_id).values("url_id")
    return visible_cards(viewer).filter(url_id__in=pages)


def with_representation(
    cards: QuerySet[Card], *, viewer: User | None = None, own: bool = False
) -> QuerySet[Card]:
    """Load all that `cards.serializers.CardSerializer` shows, in one query.

    A private parent is hidden from viewers who may not see it. Without a viewer, only public
    parents are shown. With `own`, each card is shown as its curator sees it.
    """
    read = cards.select_related("curator", "url__metadata")
    return read.annotate(shown_parent_id=shown_parent(viewer, own=own))


def shown_parent(viewer: User | None, *, own: bool = False, at: str = "") -> Subquery:
    """Return a subquery for the id of a card's parent, null if the viewer may not know it.

    Only its curator sees a private parent, and only on a card of the same curator. A feed
    therefore shows other curators' cards in the same way to all readers. With `own`, the viewer of
    each card is its curator. `at` is the lookup prefix of the card, for example `card__`.
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
    """Return the collections that one user may see."""
    return Collection.objects.filter(visible(user.pk, by="owner")).select_related("owner")


def own_collections(user: User) -> QuerySet[Collection]:
    """Return a user's own collections."""
    return Collection.objects.filter(owner_id=user.pk).select_related("owner")


def places_in(collection: Collection, *, viewer: User) -> QuerySet[CollectionCard]:
    """Return the places of a collection whose cards the viewer may see."""
    seen = visible(viewer.pk, by="curator", at="card__")
    return with_cards(CollectionCard.objects.filter(seen, collection=collection), viewer=viewer)


def with_cards(
    places: QuerySet[CollectionCard], *, viewer: User | None = None
) -> QuerySet[CollectionCard]:
    """Load all that is shown of the cards in places, as `with_representation` does for cards."""
    read = places.select_related("card__curator", "card__url__metadata")
    return read.annotate(shown_parent_id=shown_parent(viewer, at="card__"))


# SQL condition: true for events that `split_by_followers` would not split.
FEW_FOLLOWERS = "NOT " + has_very_many_followers("(event.data->>'curator_id')::bigint")


def split_by_followers(
    events: Sequence[Recorded[CardAdded | CardsImported]],
) -> dict[UUID, list[KeyRange]]:
    """Return the ranges of follower ids into which to split events, by event id.

    Only events whose curator has very many followers are split.
    """
    ranges = follower_ranges({recorded.event.curator_id for recorded in events})
    return {
        recorded.id: ranges[recorded.event.curator_id]
        for recorded in events
        if recorded.event.curator_id in ranges
    }


# A common table expression for the live stream, to follow its relation `since`: cards changed or
# removed recently. Cards that were private before and are private now are left out, because an
# event about them would reveal that they exist.
CHANGED_CARDS = """
    changed AS MATERIALIZED (
        SELECT event.card_id, event.curator_id, event.written,
               coalesce(card.visibility = 'PUBLIC', false) AS is_public
        FROM (
            SELECT id, subject, (data ->> 'card_id')::uuid AS card_id,
                   (data ->> 'curator_id')::bigint AS curator_id, xmin AS written
            FROM eventbook_event
            WHERE type IN ('card.updated', 'card.removed') AND id >= %(earliest)s
              AND age(xmin) BETWEEN 0 AND (SELECT max(age(horizon)) FROM since)
            OFFSET 0
        ) event
        LEFT JOIN cards_card card ON card.id = event.card_id
        WHERE card.visibility = 'PUBLIC' OR 'PUBLIC' = (
            SELECT data ->> 'visibility' FROM eventbook_event before
            WHERE before.subject = event.subject AND before.id < event.id
            ORDER BY before.id DESC LIMIT 1
        )
    )
"""
