"""`GET stream/`: Django checks who asks, the gateway keeps the stream open (config/gateway.py)."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request

from accounts.authentication import person
from api.views import APIView
from cards.downloads import AnyType
from config.problems import MEDIA_TYPE, Unavailable
from config.schema import ProblemSerializer
from events.stream import Hub, ProcessFull, TooManyStreams

# In a request's environment: the hub, from the gateway, and the stream, for it.
HUB, STREAM = "events.hub", "events.stream"
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    str,
    OpenApiParameter.HEADER,
    description="The id that came last: what has happened since is sent first.",
)
# A proxy that gathers what it passes on would hold events back.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Refused(exceptions.APIException):
    """One person holds too many streams open."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "You hold as many streams open as one may; close one, and try again."
    default_code = "too_many_streams"
    wait = 10


class NoStreams(Unavailable):
    """This server holds no more streams open, or none at all."""

    default_detail = "No stream can be opened at the moment; try again in a few seconds."


class LiveStream(APIView):
    content_negotiation_class = AnyType

    @extend_schema(
        parameters=[LAST_EVENT_ID],
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            (429, MEDIA_TYPE): ProblemSerializer,
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """What is new for you, as it happens: server-sent events (docs/stream.md).

        `import`: how far an import is, as imports/{id}/ answers it. `card`: a card of yours whose
        page has been asked for. `notification`: one of yours, with `unread_count`. `feed`: a card
        that has come into your following feed, or was changed there. `reset`: of these `events`
        more has happened than is told; read their pages again.
        """
        if request.method == "GET":
            request.META[STREAM] = admitted(request)
        return HttpResponse(content_type="text/event-stream", headers=HEADERS)


def admitted(request: Request) -> Any:
    """Return the stream that the person may open."""
    hub: Hub | None = request.META.get(HUB)
    if hub is None:
        raise NoStreams("This server has no live streams: run `python -m config.web`.")
    try:
        return hub.admit(
            person_id=person(request).pk,
            credential=request.auth.digest,  # type: ignore[union-attr]
            last_event_id=request.headers.get("Last-Event-ID", ""),
        )
    except TooManyStreams:
        raise Refused from None
    except ProcessFull:
        raise NoStreams from None
