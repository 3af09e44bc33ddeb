"""XML is read to its last element, whatever the parser puts off, and faults are where they are."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from defusedxml.expatreader import DefusedExpatParser

from cards.limits import TEXT_LENGTH
from imports import limits
from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import detect_format, rows
from imports.files.markup import plain_text, tokens
from imports.files.slices import Stopwatch, limited_rows

OUTLINE = '<outline text="{0}" xmlUrl="https://example.org/{0}"/>'
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


def opml(*outlines: str, declaration: str = DECLARATION) -> bytes:
    """Return a file of outlines, each on a line of its own; the first on line 3."""
    return "\n".join([f"{declaration}<opml><body>", *outlines, "</body></opml>"]).encode()


def begun(content: bytes) -> tuple[list[tuple[str, int]], Unreadable | None]:
    """Return the texts of outlines, with their lines, and why the file ends before its end."""
    found = []
    try:
        for is_start, name, value, line in tokens(Document(content)):
            if is_start and name == "outline":
                found.append((value["text"], line))
    except Unreadable as reason:
        return found, reason
    return found, None


def test_what_the_parser_puts_off_until_its_end_is_read(monkeypatch: Any) -> None:
    """Expat from 2.6 on keeps what follows a long token until it is closed."""
    feed, close = DefusedExpatParser.feed, DefusedExpatParser.close
    kept: list[bytes] = []

    def feed_later(parser: Any, data: Any, isFinal: bool = False) -> None:  # noqa: N803
        feed(parser, data, isFinal) if isFinal else kept.append(data)

    def feed_and_close(parser: Any) -> None:
        parser.feed = lambda data, isFinal=False: feed(parser, data, isFinal)  # noqa: N803
        feed(parser, b"".join(kept))
        close(parser)

    monkeypatch.setattr(DefusedExpatParser, "feed", feed_later)
    monkeypatch.setattr(DefusedExpatParser, "close", feed_and_close)

    found, reason = begun(
        opml(OUTLINE.format(1), f"<!--{'x' * 140_000}-->", OUTLINE.format("last"))
    )

    assert (found, reason) == ([("1", 3), ("last", 5)], None)


def test_an_outline_behind_a_long_comment_is_read() -> None:
    content = opml(OUTLINE.format(1), f"<!--{'x' * 140_000}-->", OUTLINE.format("last"))

    _, found = rows(Document(content))

    assert [row.line for row in limited_rows(found, Stopwatch())] == [3, 5]


@pytest.mark.parametrize(
    ("declaration", "line"),
    [(DECLARATION, 4), ("", 3), (f"\n\n{DECLARATION}", 6), ('<?xml\n version="1.0"?>\n\n', 6)],
)
def test_a_fault_is_told_with_its_line(declaration: str, line: int) -> None:
    found, reason = begun(opml(OUTLINE.format(1), "</wrong>", declaration=declaration))

    assert reason is not None
    assert (reason.code, reason.line) == ("malformed", line)
    assert found == [("1", line - 1)]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("<a>" * (limits.IMPORT_DEPTH + 1), "too_deep"),
        ('<outline text="&nope;"/>', "malformed"),
        ("<outline text=3/>", "malformed"),
    ],
)
def test_what_comes_before_a_fault_is_read(fault: str, code: str) -> None:
    found, reason = begun(opml(OUTLINE.format(1), OUTLINE.format(2), fault))

    assert reason is not None
    assert (reason.code, reason.line) == (code, 5)
    assert found == [("1", 3), ("2", 4)]


FULL = limits.IMPORT_BYTES


@pytest.mark.parametrize(
    "part",
    [
        *("<!---->", "<!-- ", "<?x?>", "<!doctype ", "<!doctype a [", "<", "< ", "<a ", "<dt> "),
        *(" ", "\n", "\r", ",", "a,", "a\t", '"', "'", "{", "[", '{"a":', '["', "@article{", "\\"),
        *("10.1/", "https://a/ ", "ty  - ", "é", "\ufeff", "pmid-", "%0 ", "x", "/=", "&amp;"),
    ],
)
def test_the_format_of_a_full_file_is_found_within_a_second(part: str) -> None:
    content = (part * (FULL // len(part.encode())))[:FULL].encode()[:FULL]
    began = time.process_time()

    with suppress(Unreadable):
        detect_format(Document(content))

    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n <?xml version='1.0'?>\n",
        "<!-- <rss> --><!-- -- > -->",
        "<!DOCTYPE opml>",
        '<!doctype opml SYSTEM "x" [ <!-- > --> <!ELEMENT opml (a)> ]>',
        "<!---->" * 2000,
    ],
)
def test_the_first_element_is_found_behind_what_may_stand_before_it(before: str) -> None:
    assert detect_format(Document(f"{before}<opml version='2.0'/>".encode())).name == "opml"


def test_html_becomes_paragraphs_without_its_code() -> None:
    html = "<p>a</p><p>b<br>c</p><script>x < y</script><STYLE>h{}</style >d\n \n\n e<script>open"

    assert plain_text(html) == "a\nb\nc\nd\n\neopen"


@pytest.mark.parametrize("part", ["<script ", "<style>", "\n", " \n", "<", "<br", "</script>", "&"])
def test_no_html_takes_long(part: str) -> None:
    html = "<" + part * (10 * TEXT_LENGTH // len(part))
    began = time.process_time()

    plain_text(html)

    assert time.process_time() - began < 1
