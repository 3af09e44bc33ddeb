"""Who wrote a page and when: by its metadata, or else by the elements that show it."""

from __future__ import annotations

import time

import pytest

from pages.metadata import cleaning
from pages.metadata.extraction import extract
from pages.metadata.fields import PageMetadata


def read(html: str, url: str = "https://www.example.org/page") -> PageMetadata:
    """Return what is read from a page."""
    return extract(html.encode(), charset="utf-8", url=url)


def meta(**said: str) -> str:
    """Return a page with these `meta` elements; two underscores stand for a colon."""
    return "".join(
        f'<meta name="{name.replace("__", ":")}" content="{value}">' for name, value in said.items()
    )


@pytest.mark.parametrize(
    "name",
    [
        *("No Author", "no author", "Super User", "/@doe", "@doe", "admin", "Admin", "Staff"),
        *("Site Admin", "Staff Writer", "AP Staff", "Editorial Team", "The Editors", "Redaktion"),
        *("La rédaction", "Guest Author", "Web Desk", "Anonymous", "Unknown", "undefined", "-"),
        *("wp-admin", "webmaster@example.org", "https://example.org/doe", "/authors/doe", "1234"),
        *("WordPress", "Our Correspondent", "Example News", "example.org", "www.example.org"),
        *("{{ author }}", "%author%", "$author", "[object Object]", "admin12", "no-reply"),
        *("Senior Science Reporter", "Administrador", "Gast", "匿名", "编辑部"),
    ],
)
def test_what_is_no_person_is_no_author(name: str) -> None:
    page = '<meta property="og:site_name" content="Example News">'

    assert read(page + meta(author=name)).authors == []
    assert read(page + f"<span class=byline>By {name}</span>").authors == []
    assert read(page + meta(author=name) + "<a rel=author>Ann Roe</a>").authors == ["Ann Roe"]


@pytest.mark.parametrize(
    "name",
    [
        *("Jane Doe", "Ludwig van Beethoven", "José Ortega y Gasset", "山田太郎", "Doe, Jane"),
        *(
            "Ursula K. Le Guin",
            "Ke$ha",
            "Max Reporter",
            "Admin Yilmaz",
            "Guest Owusu",
            "Cher",
            "Staffan Holm",
        ),
    ],
)
def test_a_person_is_one(name: str) -> None:
    assert read(meta(author=name)).authors == [name]


def test_the_site_of_a_person_has_that_person_s_name() -> None:
    page = '<meta property="og:site_name" content="{0}"><meta name="author" content="{0}">'

    assert read(page.format("Ada Lovelace")).authors == ["Ada Lovelace"]
    assert read(page.format("The Daily Post")).authors == []


@pytest.mark.parametrize(
    "said",
    [
        *("Jane Doe,Max Roe", "Jane Doe, Max Roe", "Jane Doe und Max Roe", "Jane Doe and Max Roe"),
        *("Jane Doe et Max Roe", "Jane Doe & Max Roe", "Jane Doe; Max Roe", "By Jane Doe, Max Roe"),
        *("Jane Doe y Max Roe", "Jane Doe；Max Roe", "Jane Doe／Max Roe"),
        *("Jane Doe｜Max Roe", "Jane Doe、Max Roe", "Posted by Jane Doe and Max Roe et al."),
        "作者：Jane Doe、Max Roe",
    ],
)
def test_two_people_in_one_are_two(said: str) -> None:
    for page in (
        meta(author=said),
        meta(article__author=said),
        f'<script type="application/ld+json">{{"@type": "Article", "author": "{said}"}}</script>',
        f'<div class="byline">{said}</div>',
    ):
        assert read(page).authors == ["Jane Doe", "Max Roe"], page


def test_signs_part_people_in_metadata_and_end_a_name_that_is_shown() -> None:
    for said in ("Jane Doe | Max Roe", "Jane Doe · Max Roe", "Jane Doe / Max Roe"):
        assert read(meta(author=said)).authors == ["Jane Doe", "Max Roe"]
    assert read("<p class=byline>Jane Doe | Books</p>").authors == ["Jane Doe"]


def test_people_whom_a_page_put_into_one_are_several() -> None:
    data = '{"@type": "Article", "author": {"@type": "Person", "name": ["Jane Doe", "Max Roe"]}}'

    found = read(f'<script type="application/ld+json">{data}</script>')

    assert found.authors == ["Jane Doe", "Max Roe"]


@pytest.mark.parametrize(
    ("said", "published"),
    [
        ("1970-01-01T00:00:00Z", ""),
        ("1970-01-01", "1970-01-01"),
        ("1970-01-01T09:30", "1970-01-01"),
    ],
)
def test_the_first_second_of_1970_is_no_date(said: str, published: str) -> None:
    assert read(meta(article__published_time=said)).published == published


@pytest.mark.parametrize(
    ("said", "published"),
    [
        # bioRxiv: a year that is written as a day.
        (
            {
                "citation_publication_date": "2020/01/01",
                "citation_date": "2020-03-27",
                "dc.date": "2020-03-27",
            },
            "2020-03-27",
        ),
        ({"citation_publication_date": "2020", "citation_online_date": "2020/05/06"}, "2020-05-06"),
        # The date, however long before that the article was to be had.
        ({"citation_publication_date": "2020/02", "citation_online_date": "2019/12/30"}, "2020-02"),
        ({"citation_date": "2020/01/01", "citation_online_date": "2019/12/30"}, "2020-01-01"),
        ({"citation_publication_date": "2020/01/01"}, "2020-01-01"),
    ],
)
def test_a_date_is_as_exact_as_anything_that_agrees_with_it(
    said: dict[str, str], published: str
) -> None:
    assert read(meta(**said)).published == published


@pytest.mark.parametrize(
    ("html", "authors", "published"),
    [
        ("<a rel='author' href='/x'>Jane Doe</a>", ["Jane Doe"], ""),
        ("<span itemprop=author>Jane Doe</span><b itemprop=author>Al Roe</b>",
         ["Jane Doe", "Al Roe"], ""),
        ("<p class='post-author'>Von Jane Doe — Ressort</p>", ["Jane Doe"], ""),
        ("<time datetime='2020-05-06T10:00:00Z'>yesterday</time>", [], "2020-05-06"),
        ("<span class='entry-date'>May 6, 2020</span>", [], "2020-05-06"),
        ("<span class=date>Veröffentlicht am 6. Mai 2020</span>", [], "2020-05-06"),
        ("<div class=posted-on>06.05.2020</div>", [], "2020-05-06"),
        ("<i itemprop=dateModified>2021-01-02</i><i itemprop=datePublished>2020-05-06</i>",
         [], "2020-05-06"),
        ("<div class=comment-list><p class=author>Al Roe</p></div>", [], ""),
        ("<aside><p class=author>Al Roe</p></aside>", [], ""),
        ("<figure><div class=author>Al Roe</div></figure>", [], ""),
        ("<div class=author>Read all that our authors write about it</div>", [], ""),
    ],
)  # fmt: skip
def test_what_a_page_shows_is_found_where_its_metadata_says_nothing(
    html: str, authors: list[str], published: str
) -> None:
    found = read(f"<title>T</title>{html}<p>Text</p>")

    assert (found.authors, found.published) == (authors, published)


def test_metadata_goes_before_what_a_page_shows() -> None:
    html = meta(author="Jane Doe", date="2020-05-06") + "<a rel=author>Al Roe</a><time>2021</time>"

    assert (read(html).authors, read(html).published) == (["Jane Doe"], "2020-05-06")


@pytest.mark.parametrize("sign", ["｜", " ｜ ", "－", "：", "、", " | ", "|", "│"])
def test_wide_separators_part_a_title_from_its_site(sign: str) -> None:
    page = '<meta property="og:site_name" content="朝日新聞"><title>{}</title>'

    assert read(page.format(f"題名{sign}朝日新聞")).title == "題名"
    assert read(page.format(f"朝日新聞{sign}題名")).title == "題名"
    assert read(page.format(f"一{sign}二")).title == f"一{sign}二".strip()


@pytest.mark.parametrize(
    ("text", "date"),
    [
        *(("12. Juli 2021", "2021-07-12"), ("3 de mayo de 2020", "2020-05-03")),
        *(("1er mars 2019", "2019-03-01"), ("Published on July 12, 2021 08:05", "2021-07-12")),
        *(
            ("31.07.1945", "1945-07-31"),
            ("9 März 2020", "2020-03-09"),
            ("31/12/1999", "1999-12-31"),
        ),
        *(("5 août 2016", "2016-08-05"), ("12.13.2020", ""), ("soon", "")),
    ],
)
def test_dates_are_read_in_the_languages_of_pages(text: str, date: str) -> None:
    assert cleaning.date(text) == date


@pytest.mark.parametrize(
    "part",
    [
        *(
            "<a class=author>",
            "<time ",
            "<time datetime=x>",
            "<p class='author",
            "<div class=date>",
        ),
        *(
            "<figure>",
            "<aside ",
            "class=author ",
            "<div class='byline'><div>",
            "<a itemprop=author>",
        ),
    ],
)
def test_no_page_takes_long(part: str) -> None:
    html = part * (5_000_000 // len(part))
    began = time.process_time()

    read(html)

    assert time.process_time() - began < 3
