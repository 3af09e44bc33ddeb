"""Flower's options; each can be set by a FLOWER_… variable too, which Flower reads by itself."""

import os

if not (os.environ.get("FLOWER_BASIC_AUTH") or os.environ.get("FLOWER_AUTH_PROVIDER")):
    # Without a login Flower shows every task and its arguments to whoever reaches it.
    raise SystemExit(
        "Flower needs a login: set FLOWER_BASIC_AUTH=user:password, or OAuth's variables."
    )

address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
port = int(os.environ.get("FLOWER_PORT", "5555"))
db = os.environ.get("FLOWER_DB", "flower")
persistent = True
state_save_interval = 60_000  # milliseconds
max_tasks = 10_000
# Behind a proxy, which says who the client is.
xheaders = True
