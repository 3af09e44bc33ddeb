from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.plain.settings")

# Celery's defaults, except addresses and routes. Celery's Django fixup reads CELERY_DB_REUSE_MAX.
app = Celery("plain", set_as_current=False, broker=os.environ.get("REDIS_URL"))
app.conf.imports = ["benchmarks.plain.tasks"]
app.conf.task_ignore_result = True
if os.environ.get("PLAIN_KEEPS_CONNECTION"):
    app.conf.CELERY_DB_REUSE_MAX = 500
