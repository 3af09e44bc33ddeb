"""Files at standard paths: the icon, robots.txt and security.txt (RFC 8615)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

# The `Expires` field of security.txt: after it, readers must fetch the file again, because the
# contact may have changed (RFC 9116, section 2.5.5).
VALID_FOR = timedelta(days=90)
ICON = (settings.BASE_DIR / "server" / "static" / "server" / "icon.svg").read_bytes()
# Crawlers may read the home page alone.
DISALLOWED = ("/api/", "/admin/", "/metrics", "/healthz", "/readyz")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Return the site's icon."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return HttpResponse(ICON, content_type="image/svg+xml", headers=headers)


@require_safe
def robots_txt(request: HttpRequest) -> HttpResponse:
    """Return the paths that crawlers must not fetch (RFC 9309)."""
    lines = [f"Disallow: {settings.URL_PREFIX}{path}\n" for path in DISALLOWED]
    text = "User-agent: *\n" + "".join(lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Return the contacts for vulnerability reports (RFC 9116); 404 without SECURITY_CONTACT."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [f"Contact: {as_uri(contact)}" for contact in settings.SECURITY_CONTACT]
    lines += [
        f"Expires: {today + VALID_FOR:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en",
        f"Canonical: {request.build_absolute_uri(request.path)}",
    ]
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def as_uri(contact: str) -> str:
    """Return a mail address as a `mailto:` URI, and any other contact unchanged."""
    return f"mailto:{contact}" if "@" in contact and ":" not in contact else contact
