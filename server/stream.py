"""`GET stream/`, the live stream: Django checks the user, then the gateway keeps the stream open.

The gateway is server/gateway.py.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request

from accounts.authentication import person
from api.downloads import NoNegotiation
from api.problems import MEDIA_TYPE, Unavailable
from api.schema import ProblemSerializer
from api.views import APIView
from eventbook.stream import Hub, ProcessFull, TooManyStreams

# Keys in a request's WSGI environ: the gateway passes in the hub, the view returns the stream.
HUB, STREAM = "eventbook.hub", "eventbook.stream"
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    str,
    OpenApiParameter.HEADER,
    description="The last id that you received: everything since then is sent first.",
)
# X-Accel-Buffering: a proxy that buffers responses would delay the events.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class StreamLimitReached(exceptions.APIException):
    """The user has too many open streams."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "You have as many streams open as you may; close one, and try again."
    default_code = "too_many_streams"
    wait = 10


class NoStreams(Unavailable):
    """This server process can't open another stream, or has no live streams at all."""

    default_detail = "No stream can be opened at the moment; try again in a few seconds."


class LiveStream(APIView):
    content_negotiation_class = NoNegotiation

    @extend_schema(
        parameters=[LAST_EVENT_ID],
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            (429, MEDIA_TYPE): ProblemSerializer,
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Receive your news live, as server-sent events (docs/stream.md).

        `import`: the progress of an import, as in imports/{id}/. `card`: one of your cards, after
        its page was fetched. `notification`: a new notification, with `unread_count`. `feed`: a
        card that is new or changed in your following feed. `reset`: too much has happened to send
        it all; read the pages of these `events` again.
        """
        if request.method == "GET":
            request.META[STREAM] = open_stream(request)
        return HttpResponse(content_type="text/event-stream", headers=HEADERS)


def open_stream(request: Request) -> Any:
    """Open and return a stream for the user; raise StreamLimitReached or NoStreams at a limit."""
    hub: Hub | None = request.META.get(HUB)
    if hub is None:
        raise NoStreams("This server has no live streams: run `python -m server`.")
    try:
        return hub.admit(
            person_id=person(request).pk,
            credential=request.auth.digest,  # type: ignore[union-attr]
            last_event_id=request.headers.get("Last-Event-ID", ""),
        )
    except TooManyStreams:
        raise StreamLimitReached from None
    except ProcessFull:
        raise NoStreams from None
