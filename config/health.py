"""The pages beside the API: home, health and metrics."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.exposition import generate_latest

from events.metrics import registry


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """This welcomes a visitor, and shows the way on."""
    return render(request, "config/home.html")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This says that the process is up."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """This says whether requests can be served: 503 while the database can't be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse(
            {"status": "unavailable", "reason": "The database can't be reached."},
            status=503,
            headers={"Retry-After": "5"},
        )
    return JsonResponse({"status": "ok"})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """This answers the queues' figures for Prometheus, read from PostgreSQL."""
    if not may_read_metrics(request):
        return HttpResponse(
            "Set METRICS_TOKEN, and send it as `Authorization: Bearer …`.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        return HttpResponse(
            "The database can't be reached.\n", status=503, content_type="text/plain"
        )


def may_read_metrics(request: HttpRequest) -> bool:
    """This says whether the request has the token; on one machine, without one, anybody may."""
    if not settings.METRICS_TOKEN:
        return bool(settings.INSECURE_HTTP)
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return constant_time_compare(sent, settings.METRICS_TOKEN)
