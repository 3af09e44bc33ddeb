"""What is broken, or meant to break us, is refused or read as far as it goes, with the reason."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imports import limits
from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import FORMATS, detect_format, rows
from imports.files.items import Item, Problem, decode, encode
from imports.files.slices import Stopwatch, limited_rows
from tests.imports import hostile


@pytest.mark.parametrize("name", sorted(hostile.REFUSED | hostile.READ))
def test_no_hostile_file_takes_long(name: str) -> None:
    content, _ = (hostile.REFUSED | hostile.READ)[name]
    began = time.process_time()

    read(content)

    assert time.process_time() - began < 5


REPEATED = [
    *("<!---->", "<!--", "<?x?>", "<!doctype [", "<a b='", '<dl><dt><a href="', "\r\n", "a,b\n"),
    *('[{"href":1},', '{"a":', '"a",', "@article{", "%A x\n", "TY  - \n", "http://a,"),
]


@pytest.mark.parametrize("text", REPEATED)
def test_the_format_of_a_file_of_full_size_is_found_within_a_second(text: str) -> None:
    content = (text * (limits.IMPORT_BYTES // len(text))).encode()
    began = time.process_time()

    with suppress(Unreadable):
        detect_format(Document(content))

    assert time.process_time() - began < 1


def read(content: bytes, format: str = "") -> list[Any]:
    """Read a file to its end; only Unreadable may be raised."""
    try:
        _, found = rows(Document(content), format)
        return list(limited_rows(found, Stopwatch()))
    except Unreadable:
        return []


FRAGMENTS = st.sampled_from(
    [
        *("<DT>", "<A HREF=", '"', "'", "https://example.org/", "</A>", "<H3>", "<DL>", "</DL>"),
        *("<DD>", ">", "<", "&amp;", "TAGS=", "<rss>", "<item>", "</item>", "<title>", "<feed>"),
        *("<opml>", "<body>", "<outline ", "xmlUrl=", "text=", "/>", "<rdf:RDF>", "<z:Collection>"),
        *("{", "}", "[", "]", ":", ",", '"roots"', '"children"', '"url"', '"items"', '"cards"'),
        *('"title"', '"author"', '"issued"', '"date-parts"', "null", "1e5", "-1", "true"),
        *("TY  - JOUR", "ER  - ", "AU  - ", "PY  - ", "UR  - ", "\n", "\r\n", "\t", "\0", "\x1b"),
        *("@article{", "@string{", "title", "=", "#", "\\'e", "\\", "$", "and", "author", "{\\'"),
        *("url", "title", "tags", "|", ";", "10.1000/1", "doi:", "\ud7ff", "\ufeff", "é", "\u2028"),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=8), max_size=40).map("".join)


@pytest.mark.parametrize("format", sorted(FORMATS))
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    text=TEXTS,
    head=st.sampled_from(["", "url,title\n", "TY  - JOUR\n", "<opml>", '{"cards":', "["]),
)
def test_no_parser_raises_anything_but_its_own_error(format: str, text: str, head: str) -> None:
    content = (head + text).encode("utf-8", "replace")

    found = read(content, format)

    items = [row for row in found if isinstance(row, Item)]
    assert all(isinstance(row, Item | Problem) for row in found)
    assert len(decode(encode(items))) == len(items)


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_its_own_error(content: bytes) -> None:
    read(content)
