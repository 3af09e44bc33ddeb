"""The Celery application, configured by the CELERY_… settings of config/settings.py."""

from __future__ import annotations

import os

from celery import Celery

from eventbook.celery import prepare

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Skip Django's system checks in workers: they would load all views into each one. `make check` and
# a release's migration run them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("commonplace")
prepare(app)
app.config_from_object("config.celery_settings:SETTINGS")
app.autodiscover_tasks()
