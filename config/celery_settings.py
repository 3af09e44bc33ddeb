"""The CELERY_… settings under Celery's own names, without Django's other settings.

Workers send their whole configuration on request, and Flower shows it to its users: Django's
secrets must not be in it. Celery masks the broker's password only under the name `broker_url`.
"""

from __future__ import annotations

from django.conf import settings

PREFIX = "CELERY_"
# Celery's Django support reads this setting with its prefix.
WITH_PREFIX = ("CELERY_DB_REUSE_MAX",)

SETTINGS = {
    name if name in WITH_PREFIX else name.removeprefix(PREFIX).lower(): getattr(settings, name)
    for name in dir(settings)
    if name.startswith(PREFIX)
}
