"""The admin pages of users and follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import queries, services
from accounts.admin.permissions import PERMISSION_FIELDS, is_superuser, may_act_on
from accounts.models import Follow, User
from eventbook.operate import ReadOnlyAdmin

# The most people that one request deletes; more would time out.
MAX_PEOPLE = 20
# A person with more rows than this can't be deleted here, for the same reason.
MAX_ROWS = 5000


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Users. Staff can't change a user with more permissions than they have, nor grant any."""

    list_display = ("username", "display_name", "email", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined")
    search_fields = ("username__istartswith", "email__istartswith", "display_name__istartswith")
    ordering = ("-date_joined",)
    date_hierarchy = "date_joined"
    show_full_result_count = False
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("Profile", {"fields": ("display_name", "bio", "import_visibility")}),
    )

    def save_model(
        self, request: HttpRequest, obj: User, form: ModelForm[User], change: bool
    ) -> None:
        """Save a user; a new one through the service, which sends `user_registered`."""
        if change:
            super().save_model(request, obj, form, change)
            if "is_active" in form.changed_data and not obj.is_active:
                # Otherwise the old tokens would be valid again if the user is reactivated.
                services.revoke_all_tokens(user=obj)
        else:
            services.add_user(user=obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Make the fields that grant permissions read-only, except for superusers."""
        fields = super().get_readonly_fields(request, obj)
        return fields if is_superuser(request.user) else (*fields, *PERMISSION_FIELDS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse to change, or set the password of, a user with more permissions than one's own."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or may_act_on(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse to delete oneself, a user with more permissions, and staff with log entries.

        The staff's entries in the admin's log would be deleted, too: deactivate such staff instead.
        """
        allowed = super().has_delete_permission(request, obj)
        if not allowed or obj is None:
            return allowed
        acted = LogEntry.objects.filter(user=obj).exists()
        return obj != request.user and not acted and may_act_on(request.user, obj)

    def get_deleted_objects(
        self, objs: QuerySet[User] | Sequence[User], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Return the texts of the confirmation page: deleted rows, what stays, refused users."""
        texts: list[Any] = []
        counts: Counter[str] = Counter()
        refused = []
        chosen = list(objs[: MAX_PEOPLE + 1])
        if len(chosen) > MAX_PEOPLE:
            return [], {}, set(), [f"Choose {MAX_PEOPLE} people at most."]
        for person in chosen:
            owned = queries.owned_rows(person)
            counts.update({"people": 1} | owned)
            deleted = [f"{count} {name}" for name, count in owned.items()]
            texts += [str(person), [*deleted, services.NOT_DELETED]]
            if not self.has_delete_permission(request, person):
                refused.append(f"{person}: yourself, more powerful, or staff with log entries")
            elif sum(owned.values()) > MAX_ROWS:
                refused.append(f"{person}: too many rows; use manage.py delete_person")
        return texts, dict(counts), set(), refused

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete a user through the service, which also records the events."""
        services.delete_person(person=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete each user through the service."""
        for person in queryset:
            self.delete_model(request, person)


@admin.register(Follow)
class FollowAdmin(ReadOnlyAdmin[Follow]):
    """Follows, which staff can see and delete but not create or change."""

    list_display = ("follower", "followed", "notify", "created_at")
    list_filter = ("notify", "created_at")
    list_select_related = ("follower", "followed")
    search_fields = ("follower__username__iexact", "followed__username__iexact")
    can_delete = True

    def delete_model(self, request: HttpRequest, obj: Follow) -> None:
        """Delete a follow through the service, which records the event for timelines."""
        services.unfollow(follower=obj.follower, followed=obj.followed)
