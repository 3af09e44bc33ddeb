"""The tree of cards and parents: no cycles, even if two requests change parents at once."""

from __future__ import annotations

from uuid import UUID

from cards.services import rules
from eventbook.database import execute

# How many ancestors are checked. A card with this many is refused as a parent, so that a cycle of
# any length is refused, too.
DEPTH = 30
# The namespaces of advisory locks; arbitrary numbers that no other code uses.
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
IN_CIRCLE = "This card is an ancestor of that card, so it cannot become its child."
TOO_DEEP = f"The parent of a card cannot itself have {DEPTH} or more ancestors."


def hold_parents() -> None:
    """Block all other changes of parents until this transaction ends.

    Without the lock, two transactions could close a cycle together, because neither sees the
    other's change. Call this before locking any card, and read the cards in a later statement.
    """
    execute(LOCK, [PARENTS, 0])


def hold_arrivals(owner_id: int) -> None:
    """Block the final step of the owner's other imports until this transaction ends.

    The other import may be adding the parents of this import's cards.
    """
    execute(LOCK, [ARRIVALS, owner_id % 2**31])


def errors_of_place(card_id: UUID, parent_id: UUID) -> rules.Errors:
    """Return the error if a card may not get this parent; empty if it may."""
    above = [id for (id,) in execute(ABOVE, [parent_id, DEPTH]).rows]
    if card_id in above:
        return rules.error("parent", IN_CIRCLE, "in_circle")
    if len(above) > DEPTH:
        return rules.error("parent", TOO_DEEP, "too_deep")
    return {}
