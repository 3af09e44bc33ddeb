"""The admin site: rate limits for its login and password change, and 400 for invalid values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import BadRequest, ObjectDoesNotExist, ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.guard import Caller, TooManyTries, begin_login
from accounts.guard.devices import remember_device
from accounts.names import lookup_form

logger = logging.getLogger(__name__)

# Django raises these for a value that a column can't store, for example an id with a NUL or a year
# of eleven digits. The admin's own pages never send such values.
BAD_VALUES = (DataError, OverflowError, ValidationError, ValueError)
View = Callable[..., HttpResponse]


class GuardedLoginForm(AdminAuthenticationForm):
    """The admin's login form; it shows TooManyTries as an error message."""

    def clean(self) -> dict[str, Any]:
        """Check the password; raise ValidationError after too many tries."""
        try:
            return super().clean()
        except TooManyTries as refused:
            self.request.too_many = refused  # type: ignore[union-attr]
            raise ValidationError(str(refused), code="too_many_tries") from refused


class GuardedAdminSite(admin.AdminSite):
    """The admin site, where guessing passwords is limited as in the API."""

    login_form = GuardedLoginForm

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a view: only staff may use it, and impossible values get status 400."""
        return super().admin_view(refusing_bad_values(view), cacheable)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the login form, with status 429 after too many tries; set the device cookie."""
        response = super().login(request, extra_context)
        if refused := getattr(request, "too_many", None):
            response.status_code = 429
            response["Retry-After"] = str(refused.retry_after)
        elif request.method == "POST" and request.user.is_authenticated:
            remember_device(request, response, lookup_form(request.user.get_username()))
        return response

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Change the password; limit guesses of the old one, which a stolen session could try."""
        if request.method != "POST":
            return super().password_change(request, extra_context)
        try:
            guess = begin_login(lookup_form(request.user.get_username()), Caller.of(request))
        except TooManyTries as refused:
            return self._too_many(request, refused)
        response = super().password_change(request, extra_context)
        if response.status_code == 302:
            guess.succeeded()
        return response

    def _too_many(self, request: HttpRequest, refused: TooManyTries) -> TemplateResponse:
        """Return the page, with status 429, that says when to try again."""
        context = {**self.each_context(request), "title": "Too many tries", "refusal": refused}
        headers = {"Retry-After": str(refused.retry_after)}
        return TemplateResponse(
            request, "admin/too_many_tries.html", context, status=429, headers=headers
        )


def refusing_bad_values(view: View) -> View:
    """Wrap a view: errors caused by the request's values become 400, and a deleted object 404."""

    @wraps(view)
    def refusing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
            # Rendered here because lists run their queries while they are rendered.
            return response.render() if isinstance(response, TemplateResponse) else response
        except ObjectDoesNotExist as error:  # another request has just deleted the object
            raise Http404 from error
        except BAD_VALUES as error:
            if not (request.GET or request.method == "POST" or kwargs):
                raise
            logger.warning("admin.bad_values", exc_info=True)
            raise BadRequest("The URL or the form has an impossible value.") from error

    return refusing
