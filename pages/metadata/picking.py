"""Pick the metadata elements out of a page, in one linear scan, before it is parsed.

An HTML parser takes quadratic time in the depth of nesting: 5 MB of `<div>` take minutes, and no
timeout interrupts it. Parsing only the picked elements, which are not nested, avoids that.
"""

from __future__ import annotations

import re

# The elements to pick, and elements and comments whose content must be skipped.
BEGIN = re.compile(
    r"<(?:(?P<comment>!--)"
    r"|(?P<hiding>style|noscript|textarea|svg|template|iframe)\b"
    r"|(?P<script>script)\b|(?P<title>title)\b|(?P<heading>h1)\b|(?P<single>meta|link)\b)",
    re.IGNORECASE | re.ASCII,
)
# A whole tag; a `>` within quotes doesn't end it. Possessive quantifiers prevent backtracking.
TAG = re.compile(r"<(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
MAX_TAG, MAX_TEXT, MAX_SCRIPT = 8192, 4096, 512 * 1024  # characters
# How many elements of each kind are picked.
MAX_COUNT = {"single": 1000, "script": 20, "title": 1, "heading": 5}
LINKS = ("canonical", "image_src", "application/pdf")
ENDS = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in (
        "style", "noscript", "textarea", "svg", "template", "iframe",
        "script", "title", "h1",
    )
}  # fmt: skip


def metadata_html(html: str) -> str:
    """Return HTML with only the page's meta, link, title, h1 and JSON-LD script elements."""
    parts: list[str] = []
    remaining = dict(MAX_COUNT)
    # Elements without a closing tag in the rest of the page. Searching again would be quadratic.
    unclosed: set[str] = set()
    at = 0
    while begin := BEGIN.search(html, at):
        kind, start = str(begin.lastgroup), begin.start()
        if kind == "comment":
            at = _after(html, "-->", begin.end())
            continue
        at = _end_of_tag(html, start)
        tag = html[start:at]
        if kind != "single":
            name = begin.group()[1:].lower()
            closing = ENDS[name].search(html, at) if name not in unclosed else None
            if closing is None:
                unclosed.add(name)
                continue
            text, at = html[at : closing.start()], closing.end()
            tag = _element(kind, name, tag, text)
        elif "link" in begin.group().lower() and not any(word in tag.lower() for word in LINKS):
            continue
        if tag and remaining.get(kind, 0) > 0:
            remaining[kind] -= 1
            parts.append(tag)
    return "".join(parts)


def _element(kind: str, name: str, tag: str, text: str) -> str:
    """Return the element to pick, or an empty string to skip it."""
    if kind == "script":
        wanted = "ld+json" in tag.lower() and len(text) <= MAX_SCRIPT
        return f"{tag}{text}</script>" if wanted else ""
    if kind in {"title", "heading"}:
        return f"{tag}{text[:MAX_TEXT]}</{name}>"
    return ""


def _end_of_tag(html: str, start: int) -> int:
    """Return the position after a tag; without an end, MAX_TAG characters after its start."""
    limit = min(start + MAX_TAG, len(html))
    if tag := TAG.match(html, start, limit):
        return tag.end()
    end = html.find(">", start, limit)
    return end + 1 if end >= 0 else limit


def _after(html: str, text: str, at: int) -> int:
    found = html.find(text, at)
    return found + len(text) if found >= 0 else len(html)
