"""Files and addresses that are meant to break us, sent to a real server: each has its answer."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from knox.models import AuthToken

from accounts.models import User
from cards.models import Card
from eventbook.models import Delivery
from imports.models import Import
from pages.models import Metadata
from tests.conftest import Drain
from tests.harness.web import WebProcess
from tests.imports import hostile as files
from tests.outside.hostile import NOT_FETCHED, NOT_PUBLIC, NOT_THE_WEB, REFUSED, TOO_LONG
from tests.pages.metadata.web import Web

pytestmark = pytest.mark.django_db(transaction=True)
(LONG,) = REFUSED[TOO_LONG]
TOO_LONG_FOR_US = "Ensure this field has no more than 2048 characters."
FILES = files.REFUSED | files.READ
# How an import of a page of the web of the tests ends, and what is said of such a page.
BOMB = gzip.compress(bytes(30_000_000))
SERVED: dict[str, tuple[dict[str, Any], str]] = {
    "/gone": ({"status": 410}, "answered: The server responded with status 410."),
    "/forbidden": ({"status": 403}, "answered: The server responded with status 403."),
    "/loop": (
        {"status": 302, "Location": "/loop"},
        "too_many_redirects: There were more than 5 redirects.",
    ),
    "/to-metadata": (
        {"status": 302, "Location": "http://169.254.169.254/latest/meta-data/"},
        f"refused: {NOT_PUBLIC}",
    ),
    "/to-private": ({"status": 301, "Location": "http://10.0.0.1/"}, f"refused: {NOT_PUBLIC}"),
    "/to-port": (
        {"status": 308, "Location": "http://example.org:6379/"},
        "refused: Nothing is fetched from port 6379.",
    ),
    "/to-file": ({"status": 302, "Location": "file:///etc/passwd"}, f"refused: {NOT_FETCHED}"),
    "/to-script": ({"status": 302, "Location": "javascript:alert(1)"}, f"refused: {NOT_FETCHED}"),
    "/to-nowhere": ({"status": 302, "Location": "http://["}, f"refused: {NOT_THE_WEB}"),
    "/bomb": (
        {"body": BOMB, "Content_Encoding": "gzip"},
        "too_large: The response is longer than 20971520 bytes.",
    ),
    "/huge": (
        {"Content_Length": "99999999999"},
        "too_large: The response is longer than 20971520 bytes.",
    ),
    "/entities": (
        {"body": files.REFUSED["billion_laughs"][0]},
        "entities: The feed declares XML entities, which are not allowed.",
    ),
    "/pdf": ({"body": b"%PDF-1.7"}, "not_text: This is a PDF."),
    "/nothing": ({"body": b""}, "empty: This file is empty."),
}


class Visitor:
    """A client that sends hostile content; `statuses` has the status of each response."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.statuses = f"{address}/api/v1", list[int]()
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Token {token}"

    def post(self, path: str, **body: Any) -> Any:
        """Send a request, and return the body of the response."""
        response = self.session.post(f"{self.address}{path}", **body, timeout=30)
        self.statuses.append(response.status_code)
        return response.json()


@pytest.fixture
def visitor(alice: User, web: Web, tmp_path: Path) -> Iterator[Visitor]:
    """A hostile client of a real web process that fetches pages."""
    server = WebProcess(tmp_path / "web.log", FETCH_METADATA="1", IMPORTS_OPEN_PER_PERSON="1000")
    visitor = Visitor(server.url, AuthToken.objects.create(alice)[1])
    yield visitor
    visitor.session.close()
    server.stop()


def test_of_200_hostile_files_and_addresses_each_ends_with_its_reason(
    visitor: Visitor, web: Web, drain: Drain
) -> None:
    served = {web.has(path, **answer): reason for path, (answer, reason) in SERVED.items()}
    urls = {url: reason for reason, several in REFUSED.items() for url in several}

    uploaded = {
        name: visitor.post("/imports/", files={"file": (name, content)})["id"]
        for name, (content, _) in FILES.items()
    }
    imported = {url: visitor.post("/imports/", json={"url": url}) for url in (*urls, *served)}
    saved = {
        url: visitor.post("/cards/", json={"type": "URL", "url": url})
        for url in (*urls, web.url("/loop"), web.url("/to-private"))
    }
    drain(150)

    assert len(FILES) + len(urls) + len(served) >= 200
    assert set(visitor.statuses) == {200, 201, 202, 400}
    assert wrong_files(uploaded) == {}
    assert wrong_imports(imported, urls | served) == {}
    assert wrong_cards(saved, urls | served) == {}
    assert not Delivery.objects.filter(state="dead").exists()
    assert {card.link.partition(":")[0] for card in Card.objects.all()} <= {"http", "https", ""}


def wrong_files(uploaded: dict[str, str]) -> dict[str, Any]:
    """Return the files whose import ended otherwise than expected."""
    found = {}
    for name, id in uploaded.items():
        job = Import.objects.get(pk=id)
        codes = {job.error.partition(":")[0], *job.problems.values_list("code", flat=True)}
        status, code = ("failed" if name in files.REFUSED else "done"), FILES[name][1]
        if job.status != status or code not in codes or (not code and len(codes) > 1):
            found[name] = (job.status, sorted(codes), job.error[:100])
    return found


def wrong_imports(imported: dict[str, Any], reasons: dict[str, str]) -> dict[str, Any]:
    """Return the addresses whose import ended otherwise than expected."""
    found = {url: ending_of_import(answer) for url, answer in imported.items()}
    return {url: end for url, end in found.items() if end != expected_of_import(url, reasons[url])}


def ending_of_import(answer: Any) -> tuple[str, str]:
    """Return the outcome of an import, or the reason of its refusal."""
    if "errors" in answer:
        return problem_of(answer)
    job = Import.objects.get(pk=answer["id"])
    return job.status, job.error


def expected_of_import(url: str, reason: str) -> tuple[str, str]:
    """Return the expected outcome of importing an address."""
    if url.startswith("http://127.0.0.1:"):
        return "failed", reason
    if reason == NOT_PUBLIC:
        return "failed", f"refused: {reason}"
    odd = {"": "This field may not be blank.", LONG: TOO_LONG_FOR_US}
    return "url", odd.get(url, reason)


def wrong_cards(saved: dict[str, Any], reasons: dict[str, str]) -> dict[str, Any]:
    """Return the addresses whose card or page ended otherwise than expected."""
    found = {url: ending_of_page(answer) for url, answer in saved.items()}
    return {url: end for url, end in found.items() if end != expected_of_page(url, reasons[url])}


def ending_of_page(answer: Any) -> tuple[str, str]:
    """Return the outcome of saving a page, or the reason of its refusal."""
    if "errors" in answer:
        return problem_of(answer)
    page = Card.objects.get(pk=answer["id"]).url_id
    known = Metadata.objects.get(url=page)
    return known.status, f"{known.error_code}: {known.error}"


def expected_of_page(url: str, reason: str) -> tuple[str, str]:
    """Return the expected outcome of saving an address."""
    if url.startswith("http://127.0.0.1:"):
        return "failed", reason
    refused = {
        NOT_THE_WEB: NOT_THE_WEB,
        NOT_FETCHED: "Only http and https addresses can be saved.",
        TOO_LONG: TOO_LONG_FOR_US,
    }
    if not url:
        return "url", "A card of type URL needs an address."
    if "@127" in url:
        return "url", "The address contains a user name or password; remove it."
    return ("url", refused[reason]) if reason in refused else ("failed", f"refused: {reason}")


def problem_of(answer: Any) -> tuple[str, str]:
    """Return the field and the code of a refused request."""
    (error,) = answer["errors"]
    return error["field"], error["detail"]
