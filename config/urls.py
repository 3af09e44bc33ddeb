"""The URLs of the site, and its error views."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from server import health, well_known
from server.stream import LiveStream

admin.site.site_header = admin.site.site_title = "Commonplace"
admin.site.index_title = "Library, people and events"

api: list[URLPattern | URLResolver] = [
    path("", include("accounts.urls")),
    path("", include("cards.urls")),
    path("", include("imports.urls")),
    path("", include("exports.urls")),
    path("", include("notifications.urls")),
    path("", include("feeds.urls")),
    path("stream/", LiveStream.as_view(), name="stream"),
]

urlpatterns = [
    path("", health.home, name="home"),
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("favicon.ico", well_known.favicon, name="favicon"),
    path("robots.txt", well_known.robots_txt, name="robots-txt"),
    path(".well-known/security.txt", well_known.security_txt, name="security-txt"),
]

handler400 = "api.problems.bad_request"
handler403 = "api.problems.permission_denied"
handler404 = "api.problems.not_found"
handler500 = "api.problems.server_error"
