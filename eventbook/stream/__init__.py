"""The live stream: a new row in PostgreSQL reaches its owner within a second, by SSE.

This package contains nothing of the domain: the apps register their sources (`<app>/streams.py`).
Workers, relays and requests do no work for streams, except to record a reset (`resets.py`) for a
change that no row shows. A web process with open streams polls PostgreSQL twice a second, with one
statement per source for all its people; without open streams, it does not poll.
"""

from eventbook.stream.hub import Hub, ProcessFull, TooManyStreams
from eventbook.stream.resets import reset
from eventbook.stream.sources import Pair, Source, register
from eventbook.stream.streams import Stream

__all__ = [
    "Hub",
    "Pair",
    "ProcessFull",
    "Source",
    "Stream",
    "TooManyStreams",
    "register",
    "reset",
]
