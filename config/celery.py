"""The Celery application; its settings are the CELERY_… ones of config/settings.py."""

from __future__ import annotations

import os

from celery import Celery

from events import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

transport.install()
app = Celery("commonplace")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
