from __future__ import annotations

from benchmarks.systems.base import System
from benchmarks.work import Cards

# The limit: one statement for each table, without an event, a queue or a promise.
NOTIFY = """
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT follow.follower_id, card.id, 'CARD_ADDED', card.curator_id, card.id, now()
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
    ORDER BY 1, 2
"""
FAN_OUT = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follow.follower_id, card.id, card.curator_id
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
    ORDER BY 1, 2
"""


class SQL(System):
    """Both tables written by one statement each: what no system can beat on this schema."""

    name = "SQL"

    def launch(self) -> None:
        """There are no processes."""

    def enqueue(self, cards: Cards) -> None:
        """This does it at once."""
        self.session.execute(NOTIFY)
        self.session.execute(FAN_OUT)

    def is_done(self) -> bool:
        """It was done when it was handed over."""
        return True
