from django.apps import AppConfig
from django.contrib.admin import apps


class AccountsConfig(AppConfig):
    name = "accounts"


class GuardedAdminConfig(apps.AdminConfig):
    """Django's admin with this project's site, whose login is rate-limited."""

    default_site = "accounts.staff.site.GuardedAdminSite"
    default = False
