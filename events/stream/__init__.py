"""The live stream: what is new in PostgreSQL reaches its owner within a second, by SSE.

It knows no domain word: the apps above register their sources (`<app>/streams.py`). Workers, relays
and requests do nothing for it, but for the few acts that no row tells (`resets.py`). Each web
process that holds streams open asks PostgreSQL twice a second, with one statement a source for all
its people, and nothing while it holds none.
"""

from events.stream.hub import Hub, ProcessFull, TooManyStreams
from events.stream.resets import reset
from events.stream.sources import MOST, Pair, Source, register

__all__ = ["MOST", "Hub", "Pair", "ProcessFull", "Source", "TooManyStreams", "register", "reset"]
