"""Find the metrics and labels in a PromQL expression."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Words that look like metrics in an expression.
WORDS = {"and", "or", "unless", "on", "by", "without", "ignoring", "offset", "bool", "e9"}


def selected(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the metrics of an expression, each with the labels in its selector."""
    grouped = re.sub(r"\b(?:by|on|without|ignoring) \([^)]*\)", " ", expression)
    for name, selector in re.findall(
        r"([a-zA-Z_:][\w:]*)(?!\w)(?!\s*\()(\{[^}]*\})?", re.sub(r"\[[^]]*\]", "", grouped)
    ):
        if name not in WORDS and not name.startswith("$"):
            yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def grouped_by(expression: str) -> set[str]:
    """Return the labels by which an expression groups or joins."""
    lists = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    return {label.strip() for text in lists for label in text.split(",") if label.strip()}
