"""Live streams: the transactions of rows, whatever cursors clients send."""

from __future__ import annotations

from uuid import UUID

import pytest

from eventbook.stream.sources import Since

EPOCH = 1 << 32  # PostgreSQL's transaction ids in rows have 32 bits, and begin again after them


@pytest.mark.parametrize(
    ("xmin", "full"),
    [
        ("110", 5 * EPOCH + 110),
        ("130", 5 * EPOCH + 130),  # begun after the poll
        ("4294967290", 5 * EPOCH - 6),  # begun before the ids began again
    ],
)
def test_a_forged_cursor_of_one_person_changes_no_transaction_of_another(
    xmin: str, full: int
) -> None:
    since = Since(
        next_xid=5 * EPOCH + 120,
        people=[1, 2],
        horizons=[0, 5 * EPOCH + 100],
        firsts=[UUID(int=0), UUID(int=0)],
        seconds=60.0,
        earliest=UUID(int=0),
    )

    assert since.full_xid(xmin) == full
