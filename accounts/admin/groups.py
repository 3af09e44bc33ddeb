from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from accounts.admin.permissions import is_superuser

admin.site.unregister(Group)


@admin.register(Group)
class GuardedGroupAdmin(GroupAdmin):
    """Groups grant permissions to their members, so only superusers may change them."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request.user)

    has_add_permission = has_delete_permission = has_change_permission
