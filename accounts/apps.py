from django.apps import AppConfig
from django.contrib.admin import apps


class AccountsConfig(AppConfig):
    name = "accounts"


class GuardedAdminConfig(apps.AdminConfig):
    """Django's admin, with a login that is slowed down."""

    default_site = "accounts.site.GuardedAdminSite"
    default = False
