"""The admin page of API tokens."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.formats import date_format
from knox.models import AuthToken

from accounts import services
from accounts.admin.permissions import may_act_on
from accounts.models import TokenUse
from eventbook.operate import ReadOnlyAdmin

admin.site.unregister(AuthToken)


def short_id(token: AuthToken) -> str:
    """Return a token's first characters, which identify it but can't be used to log in."""
    return f"{token.token_key[:8]}…"


# Knox's own `__str__` puts the 128-digit hash into page titles and into the admin's log.
AuthToken.__str__ = short_id


@admin.register(AuthToken)
class TokenAdmin(ReadOnlyAdmin[AuthToken]):
    """The API's tokens: staff can see whose they are, and revoke but not create or read one."""

    list_display = ("short_id", "user", "created", "last_used", "expiry")
    list_filter = ("created", "expiry")
    list_select_related = ("user",)
    search_fields = ("token_key__startswith", "user__username__iexact")
    search_help_text = "The beginning of a token, or a username"
    ordering = ("-created",)
    fields = ("short_id", "user", "created", "last_used", "expiry")
    can_delete = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuthToken]:
        """Return the tokens with the time of their last use."""
        used = TokenUse.objects.filter(digest=OuterRef("digest")).values("used_at")
        tokens = super().get_queryset(request)
        tokens = tokens.annotate(last_used=Coalesce(Subquery(used), "created"))
        return cast("QuerySet[AuthToken]", tokens)

    @admin.display(description="last used, to the hour", ordering="last_used")
    def last_used(self, token: AuthToken) -> str:
        """Return the time of the token's last use, or of its creation."""
        return date_format(token.last_used, "DATETIME_FORMAT")

    @admin.display(description="token", ordering="token_key")
    def short_id(self, token: AuthToken) -> str:
        """Return the token's first characters."""
        return short_id(token)

    def has_delete_permission(self, request: HttpRequest, obj: AuthToken | None = None) -> bool:
        """Allow staff to revoke tokens of users who have no more permissions than they have."""
        allowed = super().has_delete_permission(request, obj)
        return allowed and (obj is None or may_act_on(request.user, obj.user))

    def delete_model(self, request: HttpRequest, obj: AuthToken) -> None:
        services.revoke_token(token=obj)
