"""How a state looks in lists: a word, a sign and a colour."""

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
    """Return a state as it is shown (events/static/events/states.css)."""
    return format_html(
        '<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>',
        state,
        SIGNS[state],
        text,
    )
