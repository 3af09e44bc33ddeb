"""The tree of cards and parents: no cycles, even if two requests change parents at once."""

from __future__ import annotations

from uuid import UUID

from cards.services import rules
from eventbook.database import execute

# How many ancestors are checked. A card with this many is refused as a parent, so that a cycle of
# any length is refused, too.
DEPTH = 30
# The namespaces of advisory locks; arbitrary numbers that no other code uses.
PARENT_LOCK, COMPLETION_LOCKS = 0x7061, 0x6172
LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"
# The ids of a card and of its ancestors.
ANCESTORS = """
    WITH RECURSIVE ancestor (id, steps) AS (
        SELECT %s::uuid, 1
        UNION ALL
        SELECT card.parent_id, steps + 1
        FROM ancestor JOIN cards_card card ON card.id = ancestor.id
        WHERE card.parent_id IS NOT NULL AND steps <= %s
    )
    SELECT id FROM ancestor
"""
IN_CYCLE = "This card is an ancestor of that card, so it cannot become its child."
TOO_DEEP = f"The parent of a card cannot itself have {DEPTH} or more ancestors."


def lock_parents() -> None:
    """Block all other changes of parents until this transaction ends.

    Without the lock, two transactions could close a cycle together, because neither sees the
    other's change. Call this before locking any card, and read the cards in a later statement.
    """
    execute(LOCK, [PARENT_LOCK, 0])


def lock_completion(owner_id: int) -> None:
    """Block the final step of the owner's other imports until this transaction ends.

    The other import may be adding the parents of this import's cards.
    """
    execute(LOCK, [COMPLETION_LOCKS, owner_id % 2**31])


def errors_of_new_parent(card_id: UUID, parent_id: UUID) -> rules.Errors:
    """Return the error if a card may not get this parent; empty if it may."""
    ancestors = [id for (id,) in execute(ANCESTORS, [parent_id, DEPTH]).rows]
    if card_id in ancestors:
        return rules.error("parent", IN_CYCLE, "in_circle")
    if len(ancestors) > DEPTH:
        return rules.error("parent", TOO_DEEP, "too_deep")
    return {}
