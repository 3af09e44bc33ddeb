"""How large the faults are: small in `make test`, the real sizes in `make faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("FAULTS") == "full"
SEED = int(os.environ.get("FAULTS_SEED", "1"))

OPERATIONS = 60 if FULL else 20  # of each author
KILLS = 25 if FULL else 4
ROUNDS = 20 if FULL else 1  # of restarts
FLOOD = 100_000 if FULL else 3_000  # bulk events
FOLLOWERS = 1_000_000 if FULL else 5_000
POSTS = 400 if FULL else 100  # measured for their latency

# The judge compares whole timelines, so nothing is trimmed. In the small form a dead worker is
# noticed soon, and a busy one ends soon; the full one waits as production does.
ENVIRONMENT = {"FEED_LENGTH": "1000000"} | (
    {}
    if FULL
    else {
        f"{queue}_{name}": "2"
        for queue in ("NOTIFICATIONS", "FEEDS", "EVENTS")
        for name in ("LEASE_SECONDS", "REDELIVERY_SECONDS")
    }
    | {"FAN_OUT_RANGE": "500", "IDLE_TRANSACTION_SECONDS": "5", "SOFT_SHUTDOWN_SECONDS": "3"}
    # The fourth and the fifth attempt of a notification come after up to half a minute.
    | {"NOTIFICATIONS_MAX_ATTEMPTS": "3"}
)
