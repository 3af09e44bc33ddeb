"""Flower's options. Each FLOWER_… variable that Flower knows goes before what is written here."""

import os

from django.conf import settings
from django.utils.crypto import salted_hmac

from config import flower_guard, flower_pages

if reason := flower_guard.refusal(os.environ):
    raise SystemExit(reason)
flower_guard.install()
flower_pages.install()

DEFAULTS = {
    "address": "127.0.0.1",
    # Sessions of OAuth outlive a restart.
    "cookie_secret": salted_hmac("flower", settings.SECRET_KEY).hexdigest(),
    "db": "flower",
    "persistent": True,
    "state_save_interval": 60_000,  # milliseconds
    # Its memory grows with these, and no further: 28 MiB for the tasks (ADR 0032).
    "max_tasks": 5_000,
    "max_workers": 200,
    # Seconds after which a worker that left is no longer shown.
    "purge_offline_workers": 600,
    # Acts are the commands' and the admin's, which ask for a permission and write them down.
    "read_only": True,
    "tasks_columns": "name,args,state,result,exception,received,runtime,worker,uuid",
    # Behind a proxy, which says who the client is.
    "xheaders": True,
}
# Flower has read the environment before this file, and would let this file win.
globals().update(
    (name, value) for name, value in DEFAULTS.items() if f"FLOWER_{name.upper()}" not in os.environ
)
