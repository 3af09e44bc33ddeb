"""Insert cards and the rows of their pages, with one SQL statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from cards.models import Card
from eventbook.database import execute
from pages.models import Metadata, Url

# One JSON parameter, so that the statement is the same for one card and for a thousand. Known pages
# are looked up first, because even an insert that conflicts uses up a number of the sequence. Pages
# are inserted in the order of their URLs, and cards in that of their pages: two requests with the
# same pages then wait for each other and never deadlock. `find_or_create_pages` handles pages
# alone; calling it first would cost each added card one more statement.
INSERT = """
    WITH new AS (
        SELECT * FROM json_to_recordset(%s::json) AS new (
            id uuid, curator_id bigint, type text, canonical text, host text, link text,
            title text, text text, tags text[], reference jsonb, parent_id uuid, visibility text,
            created_at timestamptz, updated_at timestamptz
        )
    ), known AS (
        SELECT id, canonical, public_since FROM pages_url
        WHERE canonical = ANY(ARRAY(SELECT canonical FROM new))
    ), added AS (
        INSERT INTO pages_url (canonical, host, created_at, public_since)
        SELECT canonical, host, created_at,
               CASE WHEN visibility = 'PUBLIC' THEN clock_timestamp() END
        FROM new
        WHERE canonical IS NOT NULL
          AND NOT EXISTS (SELECT FROM known WHERE known.canonical = new.canonical)
        ORDER BY canonical
        ON CONFLICT (canonical) DO NOTHING
        RETURNING id, canonical, public_since
    ), page AS (
        SELECT id, canonical, public_since, false AS is_new FROM known
        UNION ALL SELECT id, canonical, public_since, true FROM added
    ), card AS (
        INSERT INTO cards_card (id, curator_id, type, url_id, link, title, text, tags,
                                reference, parent_id, visibility, created_at, updated_at)
        SELECT new.id, new.curator_id, new.type, page.id, new.link, new.title, new.text,
               new.tags, new.reference, new.parent_id, new.visibility, new.created_at,
               new.updated_at
        FROM new LEFT JOIN page USING (canonical)
        WHERE new.canonical IS NULL OR page.id IS NOT NULL
        ORDER BY page.id
        ON CONFLICT (curator_id, url_id) DO NOTHING
        RETURNING id
    )
    SELECT new.id, page.id, card.id IS NOT NULL, page.is_new, page.public_since,
           to_json(metadata)::text
    FROM new LEFT JOIN page USING (canonical) LEFT JOIN card ON card.id = new.id
         LEFT JOIN pages_metadata AS metadata ON metadata.url_id = page.id AND NOT page.is_new
"""


class Inserted(NamedTuple):
    """The result of `insert`.

    `cards` are the ids of the cards inserted, and `pages` the pages that no user had saved before.
    `hidden` are inserted cards about pages that only other users' private cards were about.
    """

    cards: set[UUID]
    pages: list[Url]
    hidden: list[Card]


def insert(cards: Sequence[Card]) -> Inserted:
    """Insert cards and their pages; skip a card if its curator has another about the page.

    `card.url` is an unsaved Url that no other card shares, or None. Each Url gets its id,
    `public_since` and metadata here, whether the page is new or known. A page that a concurrent
    transaction has just added gets no id, and its card is not inserted: only the next statement
    sees that page.
    """
    found = execute(INSERT, [json.dumps([_row(card) for card in cards], default=str)]).rows
    rows = {row[0]: row[1:] for row in found}
    inserted = Inserted(set(), [], [])
    for card in cards:
        page_id, is_inserted, is_new, public_since, known = rows[card.pk]
        if is_inserted:
            inserted.cards.add(card.pk)
        if page := card.url:
            page.pk = page_id
            card.url = page  # sets `card.url_id`
            page.public_since = public_since
            page.cache_metadata(_metadata(known) if known else None)
            if is_new:
                inserted.pages.append(page)
            elif is_inserted and page_id and public_since is None:
                inserted.hidden.append(card)
    return inserted


def _metadata(known: str) -> Metadata:
    """Return the metadata of a known page from the JSON that INSERT selects."""
    row = json.loads(known)
    for name in ("fetched_at", "requested_at"):
        row[name] = row[name] and datetime.fromisoformat(row[name])
    return Metadata(**row)


def _row(card: Card) -> dict[str, Any]:
    """Return a card, and the page it is about, as a row of INSERT's JSON parameter."""
    columns = (field.attname for field in Card._meta.concrete_fields)  # noqa: SLF001
    row = {name: getattr(card, name) for name in columns}
    return row | ({"canonical": card.url.canonical, "host": card.url.host} if card.url else {})
