"""The handlers of cards, where the event system looks for them."""

from __future__ import annotations

from cards.imports import handlers as imports
from cards.metadata import handlers as metadata

__all__ = ["imports", "metadata"]
