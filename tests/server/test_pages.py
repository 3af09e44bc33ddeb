"""What browsers, crawlers and probes get beside the API, and the headers of every response."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.test import Client, override_settings
from rest_framework.test import APIClient

from accounts.models import User
from eventbook.models import Delivery, Event
from server.middleware.cors import CorsMiddleware
from tests.harness.web import WebProcess
from tests.library import save_many

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
INLINE = re.compile(
    r"<style|\sstyle=|<script(?![^>]*\bsrc=)[^>]*>\s*\S|\son[a-z]+=|javascript:", re.IGNORECASE
)
# Data for a script that is a file; browsers run none of it.
DATA = re.compile(r'<script[^>]*type="application/json".*?</script>', re.DOTALL)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password="a long password 1"))
    return client


# -- headers ---------------------------------------------------------------------------------------


def test_every_response_says_what_browsers_may_do_with_it(client: Client, alice: User) -> None:
    for path in ("/", "/admin/login/", "/api/docs/", "/api/v1/cards/", "/nothing", "/healthz"):
        headers = client.get(path).headers

        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "camera=()" in headers["Permissions-Policy"]


def test_what_is_private_is_stored_by_nobody(client: Client, staff: Client, alice: User) -> None:
    login = {"username": "alice", "password": "wrong"}
    for answer in (
        client.get("/api/v1/cards/"),
        client.post("/api/v1/auth/login/", login, content_type="application/json"),
        client.get("/metrics"),
        staff.get("/admin/"),
    ):
        assert "no-store" in answer.headers["Cache-Control"]


def test_no_page_has_anything_inline_which_browsers_would_refuse(
    staff: Client, alice: User
) -> None:
    save_many(alice, 1)
    event = Event.objects.first()
    assert event is not None
    pages = ["/", "/api/docs/", "/admin/", "/admin/password_change/", "/admin/login/"]
    index = staff.get("/admin/").content.decode()
    pages += sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', index)))
    pages += [
        f"/admin/eventbook/event/{event.pk}/change/",
        f"/admin/accounts/user/{alice.pk}/change/",
    ]
    if delivery := Delivery.objects.first():
        pages.append(f"/admin/eventbook/delivery/{delivery.pk}/change/")

    for path in pages:
        page = staff.get(path, follow=True).content.decode()

        assert not INLINE.findall(DATA.sub("", page)), path
    assert len(pages) > 15


def test_the_docs_load_their_script_from_this_site(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    (script,) = [s for s in re.findall(r'<script src="([^"]+)"', page) if "script=" in s]

    answer = client.get(script.replace("&amp;", "&"))

    assert answer.headers["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle" in answer.content


# -- compression -----------------------------------------------------------------------------------


def test_long_answers_are_compressed_for_who_asks(
    client_of: Any, alice: User, client: Client
) -> None:
    save_many(alice, 20)
    api: APIClient = client_of(alice)

    plain = api.get("/api/v1/cards/")
    small: Any = api.get("/api/v1/cards/", headers={"Accept-Encoding": "br, gzip"})
    export: Any = api.get("/api/v1/exports/?format=csv", headers={"Accept-Encoding": "gzip"})
    refused = api.get("/api/v1/cards/", headers={"Accept-Encoding": "gzip;q=0, br"})

    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    assert gzip.decompress(small.content) == plain.content
    assert len(small.content) < len(plain.content) / 3
    assert gzip.decompress(b"".join(export.streaming_content)).count(b"\n") >= 20
    assert not refused.has_header("Content-Encoding")


def test_secrets_and_short_answers_are_not_compressed(
    client: Client, staff: Client, client_of: Any, alice: User
) -> None:
    asked = {"Accept-Encoding": "gzip"}
    save_many(alice, 1)

    for answer in (
        staff.get("/admin/", headers=asked),
        client.get("/healthz", headers=asked),
        client_of(alice).get("/api/v1/auth/logout/", headers=asked),
        client_of(alice).get("/api/v1/notifications/", headers=asked),
    ):
        assert not answer.has_header("Content-Encoding")


# -- other sites -----------------------------------------------------------------------------------


def cors(*origins: str, **headers: str) -> Any:
    with override_settings(CORS_ORIGINS=list(origins)):
        return Client().options("/api/v1/cards/", headers=headers)


PREFLIGHT = {"Access-Control-Request-Method": "POST"}


def test_other_sites_may_use_the_api_if_they_are_named() -> None:
    ours, other = "https://app.example.org", "https://evil.example"

    allowed = cors(ours, Origin=ours, **PREFLIGHT)
    refused = cors(ours, Origin=other, **PREFLIGHT)
    anybody = cors("*", Origin=other, **PREFLIGHT)

    assert allowed.status_code == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == ours
    assert "Idempotency-Key" in allowed.headers["Access-Control-Allow-Headers"]
    assert "Origin" in allowed.headers["Vary"]
    assert not refused.has_header("Access-Control-Allow-Origin")
    assert anybody.headers["Access-Control-Allow-Origin"] == "*"
    for answer in (allowed, refused, anybody):
        assert not answer.has_header("Access-Control-Allow-Credentials")


def test_answers_and_errors_can_be_read_by_the_sites_that_are_named() -> None:
    ours = "https://app.example.org"
    with override_settings(CORS_ORIGINS=[ours]):
        api = Client().get("/api/v1/cards/", headers={"Origin": ours})
        admin = Client().get("/admin/login/", headers={"Origin": ours})

    assert (api.status_code, api.headers["Access-Control-Allow-Origin"]) == (401, ours)
    assert "Retry-After" in api.headers["Access-Control-Expose-Headers"]
    assert not admin.has_header("Access-Control-Allow-Origin")


def test_without_names_there_is_no_cors_and_a_wrong_one_is_refused() -> None:
    with pytest.raises(MiddlewareNotUsed):
        CorsMiddleware(lambda _: None)  # type: ignore[arg-type,return-value]
    for wrong in ("app.example.org", "https://example.org/", "https://*.example.org", "null"):
        with override_settings(CORS_ORIGINS=[wrong]), pytest.raises(ImproperlyConfigured):
            CorsMiddleware(lambda _: None)  # type: ignore[arg-type,return-value]


# -- pages beside the API --------------------------------------------------------------------------


def test_the_icon_and_what_robots_should_leave_alone(client: Client) -> None:
    icon, robots = client.get("/favicon.ico"), client.get("/robots.txt")

    assert icon.headers["Content-Type"] == "image/svg+xml"
    assert icon.content.startswith(b"<svg")
    assert robots.content.splitlines()[:3] == [
        b"User-agent: *", b"Disallow: /api/", b"Disallow: /admin/",
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["10.1.2.3:8080", "[fdaa:0:1::2]:8080", "nobody.example"])
def test_only_probes_are_answered_by_address(client: Client, host: str) -> None:
    probes = [client.get(path, headers={"Host": host}) for path in ("/healthz", "/readyz")]
    others = [
        client.get(path, headers={"Host": host})
        for path in ("/", "/metrics", "/admin/", "/api/v1/cards/", "/healthz/", "/api/docs/")
    ]

    assert [answer.status_code for answer in probes] == [200, 200]
    assert [answer.status_code for answer in others] == [400] * len(others)
    assert client.post("/healthz", headers={"Host": host}).status_code == 405


@pytest.fixture(scope="module")
def stranded(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebProcess]:
    """A web process without a database."""
    log: Path = tmp_path_factory.mktemp("stranded") / "web.log"
    web = WebProcess(log, DATABASE_URL="postgres://nobody@127.0.0.1:1/none")
    yield web
    web.stop()


def test_browsers_get_a_page_while_the_database_is_away(stranded: WebProcess) -> None:
    page = httpx.get(f"{stranded.url}/admin/login/?next=/admin/", headers=HTML)
    api = httpx.get(
        f"{stranded.url}/api/v1/cards/", headers=HTML | {"Authorization": f"Token {'a' * 64}"}
    )
    probe = httpx.get(f"{stranded.url}/readyz")

    admin = httpx.get(f"{stranded.url}/admin/", headers=HTML | {"Cookie": "sessionid=" + "a" * 32})
    for answer in (admin, api, probe):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert admin.headers["Content-Type"].startswith("text/html")
    assert "Back soon" in admin.text
    assert not INLINE.findall(admin.text)
    assert api.headers["Content-Type"] == "application/problem+json"
    assert page.status_code in {200, 503}
    (style,) = re.findall(r'href="([^"]+\.css)"', admin.text)
    assert httpx.get(stranded.url + style).status_code == 200
