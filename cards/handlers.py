"""Import the event handlers of cards: the event system loads the module `handlers` of each app."""

from __future__ import annotations

from cards.imports import handlers as imports
from cards.metadata import handlers as metadata

__all__ = ["imports", "metadata"]
