"""A view that records probes, as an application's own view records events."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from eventbook.models import Priority
from eventbook.record.outbox import recording
from tests.probe.signals import ProbeRepeated, ProbeSent, probe_repeated, probe_sent


@csrf_exempt
def probe(request: HttpRequest) -> JsonResponse:
    """Record one probe with a behaviour, or with `count` that many as bulk work.

    A single probe has an event key, so that repeating the request is harmless. With `fail`, raise
    an unexpected error with these words. With `delay`, its time comes after that many seconds.
    With `group`, record a repeated probe instead.
    """
    if words := request.GET.get("fail"):
        raise ValueError(words)
    key, behaviour = request.GET["key"], request.GET.get("behaviour", "ok")
    count = int(request.GET.get("count", "0"))
    priority = Priority.BULK if count else Priority.INTERACTIVE
    if group := request.GET.get("group"):
        with transaction.atomic():
            probe_repeated.send(sender=None, event=ProbeRepeated(group=group, key=key))
        return JsonResponse({"key": key}, status=201)
    with transaction.atomic(), recording(priority=priority):
        for number in range(count):
            event = ProbeSent(key=f"{key}-{number}", behaviour=behaviour)
            probe_sent.send(sender=None, event=event)
        if not count:
            event = ProbeSent(key=key, behaviour=behaviour)
            delay = timedelta(seconds=float(request.GET.get("delay", "0")))
            run_at = timezone.now() + delay if delay else None
            probe_sent.send(sender=None, event=event, key=f"probe-{key}", run_at=run_at)
    return JsonResponse({"key": key}, status=201)
