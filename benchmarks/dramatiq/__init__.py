"""Dramatiq, used as its guide says: one actor per queue, one message per event."""
