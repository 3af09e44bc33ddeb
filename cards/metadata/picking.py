"""Which parts of a page tell what it is: found by one look from its beginning to its end.

A parser makes a tree of the whole page, by rules that are quadratic in how deep its elements
nest: 5 MB of `<div>` take it many minutes, in which no limit of time reaches it. So it gets only
what is picked out here, which nests in nothing.
"""

from __future__ import annotations

import re

# What is picked, and what hides tags in it that are none.
BEGIN = re.compile(
    r"<(?:(?P<comment>!--)"
    r"|(?P<hiding>style|noscript|textarea|svg|template|iframe)\b"
    r"|(?P<script>script)\b|(?P<title>title)\b|(?P<heading>h1)\b|(?P<single>meta|link)\b)",
    re.IGNORECASE,
)
# A tag to its end, which is not within quotes. The possessive steps never go back.
TAG = re.compile(r"<(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
LONGEST_TAG = 8192
LONGEST_TEXT = 4096
LONGEST_SCRIPT = 512 * 1024
MOST = {"single": 1000, "script": 20, "title": 1, "heading": 5}
LINKS = ("canonical", "image_src", "application/pdf")
ENDS = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE)
    for name in (
        *("style", "noscript", "textarea", "svg", "template", "iframe"),
        *("script", "title", "h1"),
    )
}


def picked(html: str) -> str:
    """Return a page of nothing but the metadata of a page, its titles, and its data."""
    parts: list[str] = []
    left = dict(MOST)
    # Elements that end nowhere from here on; to look for it again and again would be quadratic.
    unended: set[str] = set()
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
            closing = ENDS[name].search(html, at) if name not in unended else None
            if closing is None:
                unended.add(name)
                continue
            text, at = html[at : closing.start()], closing.end()
            tag = _with_text(kind, name, tag, text)
        elif "link" in begin.group().lower() and not any(word in tag.lower() for word in LINKS):
            continue
        if tag and left.get(kind, 0) > 0:
            left[kind] -= 1
            parts.append(tag)
    return "".join(parts)


def _with_text(kind: str, name: str, tag: str, text: str) -> str:
    """Return an element as it is picked, or nothing."""
    if kind == "script":
        wanted = "ld+json" in tag.lower() and len(text) <= LONGEST_SCRIPT
        return f"{tag}{text}</script>" if wanted else ""
    if kind in {"title", "heading"}:
        return f"{tag}{text[:LONGEST_TEXT]}</{name}>"
    return ""


def _end_of_tag(html: str, start: int) -> int:
    """Return where a tag ends; one without an end is as long as any may be."""
    limit = min(start + LONGEST_TAG, len(html))
    if tag := TAG.match(html, start, limit):
        return tag.end()
    end = html.find(">", start, limit)
    return end + 1 if end >= 0 else limit


def _after(html: str, text: str, at: int) -> int:
    found = html.find(text, at)
    return found + len(text) if found >= 0 else len(html)
