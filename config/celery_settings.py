"""The CELERY_… settings under Celery's names for them, and no other ones.

Celery shows what it was given to whoever asks a worker for its configuration, as Flower does for
everybody who is logged in. It masks the password in `broker_url`, and only under that name.
"""

from __future__ import annotations

from django.conf import settings

PREFIX = "CELERY_"
# Celery's part for Django asks for it by this name.
KEPT = ("CELERY_DB_REUSE_MAX",)

SETTINGS = {
    name if name in KEPT else name.removeprefix(PREFIX).lower(): getattr(settings, name)
    for name in dir(settings)
    if name.startswith(PREFIX)
}
