"""What hangs below what: cards never form a circle, whoever hangs them at the same moment."""

from __future__ import annotations

from uuid import UUID

from cards.services import rules
from events.sql import execute

# How far up is looked. What goes on beyond is refused, so that a circle of any length is.
DEPTH = 30
# The namespaces of our advisory locks; any numbers that nothing else here uses.
PARENTS, ARRIVALS = 0x7061, 0x6172
LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"
ABOVE = """
    WITH RECURSIVE above (id, steps) AS (
        SELECT %s::uuid, 1
        UNION ALL
        SELECT card.parent_id, steps + 1
        FROM above JOIN cards_card card ON card.id = above.id
        WHERE card.parent_id IS NOT NULL AND steps <= %s
    )
    SELECT id FROM above
"""
IN_CIRCLE = "This card stands above that one already, so it cannot hang below it."
TOO_DEEP = f"A card cannot be moved below one that has {DEPTH} or more above it."


def hold_parents() -> None:
    """Hold all other changes of parents until the transaction ends.

    Two that close a circle together do not see each other. Take it before any card is locked, and
    look at the cards in a later statement.
    """
    execute(LOCK, [PARENTS, 0])


def hold_arrivals(owner_id: int) -> None:
    """Hold the ends of the owner's other imports, which may have brought the parents of these."""
    execute(LOCK, [ARRIVALS, owner_id % 2**31])


def errors_of_place(card_id: UUID, parent_id: UUID) -> rules.Errors:
    """Return why a card cannot hang below another one, if it cannot."""
    above = [id for (id,) in execute(ABOVE, [parent_id, DEPTH]).rows]
    if card_id in above:
        return rules.error("parent", IN_CIRCLE, "in_circle")
    if len(above) > DEPTH:
        return rules.error("parent", TOO_DEEP, "too_deep")
    return {}
