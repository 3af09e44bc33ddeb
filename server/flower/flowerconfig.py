"""Flower's options (Flower runs this file); each FLOWER_… environment variable overrides one."""

import os

from django.conf import settings
from django.utils.crypto import salted_hmac

from server.flower import guard, pages

if reason := guard.refusal(os.environ):
    raise SystemExit(reason)
guard.install()
pages.install()

DEFAULTS = {
    "address": "127.0.0.1",
    # The same after each restart, so that OAuth sessions stay valid.
    "cookie_secret": salted_hmac("flower", settings.SECRET_KEY).hexdigest(),
    "db": "flower",
    "persistent": True,
    "state_save_interval": 60_000,  # milliseconds
    # These limit Flower's memory; the tasks take 28 MiB (record 32).
    "max_tasks": 5_000,
    "max_workers": 200,
    # Seconds until a stopped worker disappears from the pages.
    "purge_offline_workers": 600,
    # Operators act by commands or in the admin, which check permissions and keep an audit trail.
    "read_only": True,
    "tasks_columns": "name,args,state,result,exception,received,runtime,worker,uuid",
    # Read the client's address from the proxy's headers.
    "xheaders": True,
}
# Flower reads the environment first and this file second, and the later one would win.
globals().update(
    (name, value) for name, value in DEFAULTS.items() if f"FLOWER_{name.upper()}" not in os.environ
)
