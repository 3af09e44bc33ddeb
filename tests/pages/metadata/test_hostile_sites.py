"""Whatever a site sends, its page is stored or recorded as failed, soon, and nothing breaks."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from eventbook import Later
from pages.metadata import robots, services
from pages.models import Metadata, Url
from tests.pages.metadata.web import Web

pytestmark = pytest.mark.django_db
DATA = '<script type="application/ld+json">{"@type": "Article", "doi": "10.1000/\\ud800x"}</script>'


def saved(web: Web, body: str = "<title>A</title>", **headers: str) -> Url:
    canonical = web.has("/page", body, status=200, **headers).replace("http:", "https:")
    return Url.objects.get_or_create(canonical=canonical, host="127.0.0.1")[0]


@pytest.mark.parametrize(
    "body",
    [
        "<\u017ftyle>",  # a long s matches `s` if case is ignored
        "<meta name=citation_date content='\u017fep 2020'>",
        "<meta name=citation_date content='g\u0131u 2020'>",  # a dotless i
        DATA,
    ],
)
def test_a_page_with_rare_characters_is_stored(web: Web, body: str) -> None:
    page = saved(web, f"<title>A</title>{body}")

    assert services.fetch_page(url_id=page.pk) == "fetched"

    assert Metadata.objects.get().title == "A"


@pytest.mark.parametrize(
    "content_type", ["text/html\x00", "image/png\x00", "text/html; charset*=x; charset*0=y"]
)
def test_a_page_with_a_broken_content_type_is_stored(
    web: Web, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    page = saved(web, Content_Type=content_type)

    assert services.fetch_page(url_id=page.pk) == "fetched"

    assert Metadata.objects.get().content_type == content_type[:9]
    assert caplog.records == []


@pytest.mark.parametrize(("end", "doi"), [("a%00b", "10.1000/a"), ("a" * 400, "")])
def test_no_identifier_is_kept_that_cannot_be_stored(end: str, doi: str) -> None:
    address = f"https://doi.example.invalid/10.1000/{end}"
    page = Url.objects.create(canonical=address, host="doi.example.invalid")

    for _ in range(2):
        with pytest.raises(Later):
            services.fetch_page(url_id=page.pk)
    assert services.fetch_page(url_id=page.pk) == "failed"

    assert Metadata.objects.get().doi == doi


def test_rules_for_very_many_robots_take_no_long_time(web: Web) -> None:
    robots_named = "".join(f"User-agent: a{number}*\n" for number in range(3_000))
    rules = "".join(f"Disallow: /{number}\n" for number in range(3_000))
    web.has("/robots.txt", f"{robots_named}user agent commonplace\n{rules}")
    robots.rules_of(web.url(""))
    began = time.process_time()

    with pytest.raises(robots.Disallowed):
        robots.require_allowed(web.url("/2999"), visited=set())

    assert time.process_time() - began < 3


def test_rules_that_are_too_long_hold_as_far_as_they_are_read(web: Web) -> None:
    web.has("/robots.txt", "User-agent: *\nDisallow: /no\n" + "# filler\n" * 200_000)

    robots.require_allowed(web.url("/yes"), visited=set())
    with pytest.raises(robots.Disallowed):
        robots.require_allowed(web.url("/no"), visited=set())


def test_a_page_that_names_another_work_loses_the_registry_s_metadata_of_the_first(
    web: Web,
) -> None:
    first, second = (f"<meta name=citation_doi content=10.1000/{n}>" for n in (1, 2))
    page = saved(web, first)
    record = '{"message": {"title": ["The first"]}}'
    web.has("/crossref/works/10.1000%2F1", record)
    services.fetch_page(url_id=page.pk)
    services.consult_registry(
        url_id=page.pk, registry="crossref", identifier="10.1000/1", age=timedelta()
    )
    assert Metadata.objects.get().title == "The first"

    saved(web, f"<title>The second</title>{second}")
    services.fetch_page(url_id=page.pk)

    known = Metadata.objects.get()
    assert (known.doi, known.title) == ("10.1000/2", "The second")
