"""The project's settings with Django's own database backend, without our Celery settings."""

from __future__ import annotations

from config import settings as ours

for _name in dir(ours):
    if _name.isupper() and not _name.startswith("CELERY_"):
        globals()[_name] = getattr(ours, _name)

DATABASES = {"default": ours.DATABASES["default"] | {"ENGINE": "django.db.backends.postgresql"}}
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
