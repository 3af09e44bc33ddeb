from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Requests share a few connections; every other kind of process keeps one of its own.
os.environ.setdefault("DATABASE_POOL_SIZE", "4")
os.environ.setdefault("DATABASE_PREPARE", "1")
# Somebody waits for the answer: better none within five seconds than one after that.
os.environ.setdefault("DATABASE_REPLY_SECONDS", "4")

application = get_wsgi_application()
