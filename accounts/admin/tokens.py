from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.formats import date_format
from knox.models import AuthToken

from accounts import services
from accounts.admin.power import may_act_on
from accounts.models import TokenUse
from events.admin import ReadOnlyAdmin

admin.site.unregister(AuthToken)


def short_id(token: AuthToken) -> str:
    """Return the first characters: enough to tell tokens apart, not enough to use one."""
    return f"{token.token_key[:8]}…"


# Knox's own shows the hash, 128 digits, in titles and in what is written down of an act.
AuthToken.__str__ = short_id


@admin.register(AuthToken)
class TokenAdmin(ReadOnlyAdmin[AuthToken]):
    """Who is logged in by the API, and since when; a token can be ended, never made or read."""

    list_display = ("short_id", "user", "created", "last_used", "expiry")
    list_filter = ("created", "expiry")
    list_select_related = ("user",)
    search_fields = ("token_key__startswith", "user__username__iexact")
    search_help_text = "The beginning of a token, or a username"
    ordering = ("-created",)
    fields = ("short_id", "user", "created", "last_used", "expiry")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuthToken]:
        """Find with each token when it was used."""
        used = TokenUse.objects.filter(digest=OuterRef("digest")).values("used_at")
        tokens = super().get_queryset(request)
        made = tokens.annotate(last_used=Coalesce(Subquery(used), "created"))
        return cast("QuerySet[AuthToken]", made)

    @admin.display(description="last used, to the hour", ordering="last_used")
    def last_used(self, token: AuthToken) -> str:
        """Return when the token was last used, or made."""
        return date_format(token.last_used, "DATETIME_FORMAT")

    @admin.display(description="token", ordering="token_key")
    def short_id(self, token: AuthToken) -> str:
        """Return what the token is called."""
        return short_id(token)

    def has_delete_permission(self, request: HttpRequest, obj: AuthToken | None = None) -> bool:
        """Let staff log out a person who may do no more than they."""
        allowed = super(ReadOnlyAdmin, self).has_delete_permission(request, obj)
        return allowed and (obj is None or may_act_on(request.user, obj.user))

    def delete_model(self, request: HttpRequest, obj: AuthToken) -> None:
        services.revoke_token(token=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        for token in queryset:
            services.revoke_token(token=token)
