"""The badge of a state in the admin's lists: a sign, a word and a colour."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString

SIGNS = {
    "queued": "○",
    "running": "▶",
    "retry": "↻",
    "done": "✓",
    "dead": "✕",
    "discarded": "–",
    "paused": "‖",
}


def badge(state: str, text: str) -> SafeString:
    """Return a state's badge as HTML; its colour is in static/operate/states.css."""
    return format_html(
        '<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        SIGNS[state],
        text,
    )
