"""Pauses that came with a backup: an operator paused the original database, not this copy."""

from __future__ import annotations

from eventbook.operate.queries.values import rows, scalar

# The object ids of the database and the table: restoring a dump creates both with new ids.
THIS_DATABASE = """
    SELECT concat_ws('/', oid, 'eventbook_queuecontrol'::regclass::oid)
    FROM pg_database WHERE datname = current_database()
"""
RESTORED = f"""
    SELECT queue FROM eventbook_queuecontrol
    WHERE paused_at IS NOT NULL AND paused_in NOT IN ('', ({THIS_DATABASE}))
"""  # noqa: S608 - put together from constants


def this_database() -> str:
    """Return an identity of this database, which a copy restored from a backup does not share."""
    return str(scalar(THIS_DATABASE))


def restored_pauses() -> set[str]:
    """Return the queues that were paused before this database was restored from a backup."""
    return {queue for (queue,) in rows(RESTORED)}
