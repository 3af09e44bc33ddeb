"""The admin's login and change of password, which cost tries as the API's login does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.guard import Caller, TooManyTries, begin_login
from accounts.guard.devices import remember_device
from accounts.names import lookup_form

logger = logging.getLogger(__name__)

# What Django raises for a value that its column can't hold, from addresses and forms that no page
# of the admin makes: an id with a NUL, a year of eleven digits.
BAD_VALUES = (DataError, OverflowError, ValidationError, ValueError)
View = Callable[..., HttpResponse]


class GuardedLoginForm(AdminAuthenticationForm):
    """The login form; too many tries are an error of the form, in words."""

    def clean(self) -> dict[str, Any]:
        """Check the password, unless there were too many tries."""
        try:
            return super().clean()
        except TooManyTries as refused:
            self.request.too_many = refused  # type: ignore[union-attr]
            raise ValidationError(str(refused), code="too_many_tries") from refused


class GuardedAdminSite(admin.AdminSite):
    """The admin, where passwords can't be guessed any faster than elsewhere."""

    login_form = GuardedLoginForm

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Return a page for staff alone, which answers values that can't be with status 400."""
        return super().admin_view(refusing_bad_values(view), cacheable)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Return the login form with status 429 after too many tries; remember the device."""
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
        """Pay for the guess at the old password, which a stolen session could make too."""
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
        context = {**self.each_context(request), "title": "Too many tries", "refusal": refused}
        headers = {"Retry-After": str(refused.retry_after)}
        return TemplateResponse(
            request, "admin/too_many_tries.html", context, status=429, headers=headers
        )


def refusing_bad_values(view: View) -> View:
    """Return the view, with BadRequest in place of errors that come of what was sent."""

    @wraps(view)
    def refusing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
            # Lists ask the database while they are rendered.
            return response.render() if isinstance(response, TemplateResponse) else response
        except BAD_VALUES as error:
            if not (request.GET or request.method == "POST" or kwargs):
                raise
            logger.warning("admin.bad_values", exc_info=True)
            raise BadRequest("The address or the form has a value that can't be.") from error

    return refusing
