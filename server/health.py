"""Pages outside the API: the home page, health probes and metrics."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import resolve
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from api.refusals import RETRY_AFTER_SECONDS
from eventbook.operate import MetricsUnavailable, exposition, missing_migrations

# Health checkers use a process's own address as the host, which is not in ALLOWED_HOSTS.
PROBES = ("/healthz", "/readyz")


class ProbeMiddleware:
    """Respond to probes before any middleware checks the host or waits for the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in PROBES:
            return self.get_response(request)
        request.resolver_match = match = resolve(request.path_info)
        response: HttpResponse = match.func(request)
        return response


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the home page, with links to the API's documentation and the admin."""
    return render(request, "server/home.html")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Respond 200: the process is running."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Respond 200 if requests can be served, 503 without the database or with open migrations."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _is_migrated():
            return _unavailable("Migrations are missing: run `manage.py migrate`.")
    except DatabaseError:
        return _unavailable("The database can't be reached.")
    return JsonResponse({"status": "ok"})


class _Migrations:
    """Caches in this process that all migrations are applied."""

    applied = False


def _is_migrated() -> bool:
    # The check is slow, and an applied migration stays applied.
    _Migrations.applied = _Migrations.applied or not missing_migrations()
    return _Migrations.applied


def _unavailable(reason: str) -> JsonResponse:
    """Return the response of a failed probe, with status 503."""
    return JsonResponse(
        {"status": "unavailable", "reason": reason},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the event system's metrics for Prometheus, read from PostgreSQL."""
    if not may_read_metrics(request):
        return HttpResponse(
            "Set METRICS_TOKEN, and send it as `Authorization: Bearer …`.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        body, content_type = exposition(request.headers.get("Accept", ""))
    except MetricsUnavailable:
        return HttpResponse(
            "The database can't be reached.\n", status=503, content_type="text/plain"
        )
    return HttpResponse(body, content_type=content_type)


def may_read_metrics(request: HttpRequest) -> bool:
    """Return whether the request has METRICS_TOKEN; without one, only the local stack allows it."""
    if not settings.METRICS_TOKEN:
        return bool(settings.INSECURE_HTTP)
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return constant_time_compare(sent, settings.METRICS_TOKEN)
