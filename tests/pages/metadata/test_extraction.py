"""What is read from pages: real ones, ones with publishers' tags, and bytes of any kind."""

from __future__ import annotations

import codecs
import time
from dataclasses import asdict
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pages.metadata import cleaning
from pages.metadata.extraction import extract
from tests.pages.metadata.figures import pages, real
from tests.pages.metadata.scholarly import ARTICLES, Article

# Of docs/metadata.md, a little lower: a change that reads less of real pages shows here.
SHARES = {"title": 0.9, "authors": 0.6, "published": 0.7}


@pytest.mark.parametrize("article", ARTICLES, ids=lambda article: article.publisher)
def test_all_that_a_publisher_says_of_an_article_is_read(article: Article) -> None:
    found = asdict(extract(article.head.encode(), charset=None, url=article.url))

    assert {name: found[name] for name in article.expected} == article.expected


def test_most_of_what_real_pages_show_is_read() -> None:
    score = real()

    low = {name: score.share(name) for name, least in SHARES.items() if score.share(name) < least}
    assert low == {}, score.wrong
    assert score.share("identifiers") == 1 if "identifiers" in score.of else True


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([None, "utf-8", "latin-1", "utf-16", "no such"]))
def test_no_bytes_make_it_fail(content: bytes, charset: str | None) -> None:
    extract(content, charset=charset, url="https://example.org/")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_page_that_is_cut_off_or_torn_is_read_as_far_as_it_goes(start: int, end: int) -> None:
    _, url, content, _ = next(pages())

    found = extract(content[:start] + content[end:], charset=None, url=url)

    for address in (found.image, found.pdf, found.canonical):
        assert urlsplit(address or "https:").scheme in ("http", "https")


# As a 5 MB page; a parser of trees takes minutes for the first.
HOSTILE = {
    "deep": "<div>" * 1_000_000,
    "headings": "<h1>" * 1_000_000,
    "unended styles": "<style>" * 700_000,
    "unended comments": "<!--" * 1_200_000,
    "unended quotes": "<meta '\"a='" * 450_000,
    "attributes": ("<meta " + "".join(f"a{n}=b " for n in range(1300)) + ">") * 500,
    "signs": "<" * 5_000_000,
    "deep data": ('<script type="application/ld+json">' + "[" * 400_000 + "</script>") * 12,
    "much data": '<script type="application/ld+json">['
    + '{"@type":"Article"},' * 20_000
    + "{}]</script>",
    "long values": ("<meta name=description content='" + "<a " * 2700 + "'>") * 600,
    "closing brackets": ("<meta name=citation_doi content='10.1000/" + ")" * 4000 + "'>") * 100,
    "names of the site": ("<meta property=og:site_name content='" + "<a>" * 1300 + "'>") * 999
    + f"<meta name=author content='{'; '.join(f'Ada Byron{n}' for n in range(600))}'>",
    "no names": ("<meta name=author content='" + "1;" * 4000 + "'>") * 600,
    "names": "<meta name=citation_authors content='" + "a; b " * 1600 + "'>" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_page_takes_long(name: str) -> None:
    content = HOSTILE[name].encode()[: 5 * 1024 * 1024]
    began = time.process_time()

    extract(content, charset=None, url="https://example.org/")

    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("Größe".encode(), "utf-8"),
        ("Größe".encode(), None),
        ("Größe".encode("latin-1"), "iso-8859-1"),
        ("Größe".encode("latin-1"), "utf-8"),  # declared wrongly
        ("Größe".encode("latin-1"), None),
        ("Größe".encode("latin-1"), "no such thing"),
        ("Größe".encode("utf-16"), None),
        ("\ufeffGröße".encode(), "iso-8859-1"),  # the mark is stronger
    ],
)
def test_a_page_is_read_in_its_own_charset(content: bytes, charset: str | None) -> None:
    start, end = ("<title>", "</title>")
    if content.startswith(codecs.BOM_UTF16_LE):
        page = codecs.BOM_UTF16_LE + f"{start}Größe{end}".encode("utf-16-le")
    else:
        mark, text = content.startswith(codecs.BOM_UTF8), content.removeprefix(codecs.BOM_UTF8)
        page = codecs.BOM_UTF8 * mark + start.encode() + text + end.encode()

    assert extract(page, charset=charset, url="https://example.org/").title == "Größe"


def test_the_markup_names_the_charset() -> None:
    page = "<meta charset=windows-1251><title>Заголовок</title>".encode("cp1251")

    assert extract(page, charset=None, url="https://example.org/").title == "Заголовок"


def test_nothing_harmful_is_kept() -> None:
    page = """
        <title>A\x00 B\u202e &amp;amp; C</title>
        <link rel=canonical href="javascript:alert(1)"><link rel=canonical href="/page">
        <meta property=og:image content="http://a:b@example.org/a.png">
        <meta property=og:image content="//example.org/b.png">
        <meta name=description content="&lt;script&gt;x&lt;/script&gt; y">
        <meta name=citation_pdf_url content="data:application/pdf,x">
    """.encode()
    book = b'{"@type": "Book", "author": "\\ud800 \\u0000 Ada"}'
    data = b'<script type="application/ld+json">' + book + b"</script>"

    found = extract(page + data, charset="utf-8", url="https://example.org/deep/")

    assert found.title == "A B & C"
    assert found.canonical == "https://example.org/page"
    assert found.image == "https://example.org/b.png"
    assert found.description == "x y"
    assert (found.pdf, found.authors) == ("", ["Ada"])
    "".join(str(value) for value in asdict(found).values()).encode()


def test_fields_are_as_long_as_is_reasonable() -> None:
    page = (
        f"<title>{'a' * 4000}</title><meta name=description content='{'b' * 8000}'>"
        + "".join(f"<meta name=citation_author content='Ada {n}'>" for n in range(900))
    ).encode()

    found = extract(page, charset=None, url="https://example.org/")

    assert (len(found.title), len(found.description), len(found.authors)) == (500, 2000, 500)


def test_what_stands_in_comments_and_scripts_is_not_read() -> None:
    page = b"""
        <!-- <title>No</title> --><style><title>No</title></style>
        <script>var a = '<meta name=citation_title content=No>';</script>
        <svg><title>No</title></svg><title>Yes</title>
    """

    assert extract(page, charset=None, url="https://example.org/").title == "Yes"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("1945", "1945"), ("1945/7", "1945-07"), ("1945-07-31T10:00:00+02:00", "1945-07-31")),
        *(("19450731", "1945-07-31"), ("31 July 1945", "1945-07-31"), ("July 1945", "1945-07")),
        *(("Tue, 31 Jul 1945 10:00:00 GMT", "1945-07-31"), ("Jul 31st, 1945", "1945-07-31")),
        *(("2023年11月17日", "2023-11-17"), ("1945-13-01", "1945"), ("yesterday", ""), ("", "")),
        *(("0000-00-00", ""), ("9999-01-01", "")),
        *(("1945 Jul 31", "1945-07-31"), ("1945 Jul", "1945-07"), ("1945 Jul-Aug", "1945-07")),
        *(
            ("07/31/1945", "1945-07-31"),
            ("31/07/1945 17:00:00", "1945-07-31"),
            ("7/1945", "1945-07"),
        ),
        # Nobody can tell which is the day.
        *(("05/12/1945", "1945"), ("06/06/1945", "1945-06-06"), ("31/31/1945", "1945")),
    ],
)
def test_a_date_is_as_exact_as_it_was_given(text: str, expected: str) -> None:
    assert cleaning.date(text) == expected
