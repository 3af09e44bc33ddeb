"""Error responses of the API, as problem documents (RFC 9457).

Also the error pages of all other URLs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.core.exceptions import ValidationError as DomainError
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views import defaults
from psycopg.errors import ForeignKeyViolation, ReadOnlySqlTransaction
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from api import outage
from api.errors import details_of, field_errors
from api.refusals import RETRY_AFTER_SECONDS, TryLater
from eventbook import BacklogFull, history
from eventbook.observe import connection_error

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
SERVER_ERROR = "Something went wrong on our side; it has been logged."
INVALID = "Some of what was sent is not valid; see `errors`."

Problem = dict[str, Any]
ErrorView = Callable[[HttpRequest, Exception], HttpResponse]


class Unavailable(exceptions.APIException):
    """A server that the request needs does not respond; the same request may succeed later."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The database cannot be reached at the moment; try again in a few seconds."
    default_code = "unavailable"
    wait = RETRY_AFTER_SECONDS


class Busy(exceptions.APIException):
    """Too much bulk work is open, or a limit is used up; a later request may succeed."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_code = "busy"

    def __init__(self, refused: BacklogFull | TryLater) -> None:
        super().__init__(str(refused))
        self.wait = refused.retry_after


class Conflict(exceptions.APIException):
    """The request refers to an object that another request has just deleted."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "Something that this request refers to has just been removed."
    default_code = "conflict"


def problem_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Return the problem document for an exception; None for an unknown one, left to Django.

    This is REST framework's EXCEPTION_HANDLER.
    """
    known = api_error_of(exc)
    if known is None:
        return None
    log_outage(exc)
    set_rollback()
    return Response(
        problem_of(known),
        status=known.status_code,
        headers=headers_of(known),
        content_type=MEDIA_TYPE,
    )


def log_outage(exc: BaseException) -> bool:
    """Return whether an exception means that a server doesn't respond; if so, log the reason."""
    is_outage = isinstance(api_error_of(exc), Unavailable)
    if is_outage:
        logger.warning("request.unavailable", extra={"error": connection_error(exc)})
    return is_outage


def api_error_of(exc: BaseException | None) -> exceptions.APIException | None:
    """Return the API error to send for an exception; None for an unexpected exception."""
    known: exceptions.APIException | None = None
    match exc:
        case exceptions.APIException():
            known = exc
        # A service raises ObjectDoesNotExist for an object deleted since the view read it.
        case Http404() | ObjectDoesNotExist():
            known = exceptions.NotFound()
        case PermissionDenied():
            known = exceptions.PermissionDenied(str(exc) or None)
        case DomainError():
            known = exceptions.ValidationError(details_of(exc))
        case BacklogFull() | TryLater():
            known = Busy(exc)
        case history.HistoryPruned():
            known = exceptions.NotFound(str(exc))
        case OperationalError() | InterfaceError():
            outage.record_outage(exc)
            known = Unavailable()
        # A primary that has just become a standby, or refuses to write because its disk is full.
        case InternalError() if isinstance(exc.__cause__, ReadOnlySqlTransaction):
            known = Unavailable()
        case IntegrityError() if isinstance(exc.__cause__, ForeignKeyViolation):
            known = Conflict()
    return known


def problem_of(exc: exceptions.APIException) -> Problem:
    """Return the problem document of an API error."""
    if isinstance(exc, exceptions.ValidationError):
        return problem(exc.status_code, INVALID, errors=field_errors(exc.detail))
    return problem(exc.status_code, str(exc.detail))


def problem(code: int, detail: str, **members: Any) -> Problem:
    """Return a problem document of type `about:blank` (RFC 9457, section 4.2.1)."""
    title = HTTPStatus(code).phrase
    return {"type": "about:blank", "title": title, "status": code, "detail": detail} | members


def headers_of(exc: exceptions.APIException) -> dict[str, str]:
    """Return the error's WWW-Authenticate and Retry-After headers, if it has any."""
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


# -- Error views of Django, used outside the API's views (named in config/urls.py) ---------------


def error_view(status: int, detail: str, page: Callable[..., HttpResponse]) -> ErrorView:
    """Return a view for an error: a problem document in the API, Django's page elsewhere."""

    def view(request: HttpRequest, exception: Exception) -> HttpResponse:
        return problem_response(status, detail) if is_api(request) else page(request, exception)

    return view


bad_request = error_view(400, "The request cannot be understood.", defaults.bad_request)
permission_denied = error_view(403, "You may not do this.", defaults.permission_denied)
not_found = error_view(404, "There is nothing at this address.", defaults.page_not_found)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an unhandled exception: 503 if a server doesn't respond, else 500."""
    if isinstance(api_error_of(sys.exc_info()[1]), Unavailable):
        return unavailable(request)
    if not is_api(request):
        return defaults.server_error(request)
    return problem_response(500, SERVER_ERROR)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Return status 503 with Retry-After: as a page for browsers, else as a problem document."""
    refusal = Unavailable()
    detail, headers = str(refusal.detail), headers_of(refusal)
    is_browser = "text/html" in request.headers.get("Accept", "")
    if not is_browser or request.path_info.startswith("/api/v1/"):
        return problem_response(refusal.status_code, detail, headers)
    context = {"detail": detail, "seconds": refusal.wait, "stylesheet": static("server/site.css")}
    page = render_to_string("server/unavailable.html", context)
    return HttpResponse(page, status=refusal.status_code, headers=headers)


def is_api(request: HttpRequest) -> bool:
    """Return whether the request's path is in the API."""
    return request.path_info.startswith("/api/")


def problem_response(code: int, detail: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return a response with a problem document, for code outside REST framework's views."""
    return JsonResponse(
        problem(code, detail), status=code, content_type=MEDIA_TYPE, headers=headers
    )
