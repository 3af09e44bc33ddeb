"""The sizes of the fault tests: small in `make test`, full in `make faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("FAULTS") == "full"
SEED = int(os.environ.get("FAULTS_SEED", "1"))

OPERATIONS = 60 if FULL else 20  # per author
KILLS = 25 if FULL else 4
ROUNDS = 20 if FULL else 1  # rounds of restarts
FLOOD = 100_000 if FULL else 3_000  # bulk events
FOLLOWERS = 1_000_000 if FULL else 5_000
DELAYED = 400 if FULL else 40  # delayed events
POSTS = 400 if FULL else 100  # posts whose latency is measured

# In the small form, Redis only runs the faults of the broker itself: Valkey shares its code.
ALL_BROKERS = ("valkey", *(("redis",) if FULL else ()), "rabbitmq", "none")

# The judge compares whole timelines, so timelines aren't trimmed. The small form has short leases
# and shutdowns; the full form has production's.
ENVIRONMENT = {"FEED_LENGTH": "1000000"} | (
    {}
    if FULL
    else {
        f"{queue}_{name}": "2"
        for queue in ("NOTIFICATIONS", "FEEDS", "EVENTS")
        for name in ("LEASE_SECONDS", "REDELIVERY_SECONDS")
    }
    | {"FAN_OUT_RANGE": "500", "IDLE_TRANSACTION_SECONDS": "5", "SOFT_SHUTDOWN_SECONDS": "3"}
    # The fourth and fifth attempt of a notification wait up to 30 seconds.
    | {"NOTIFICATIONS_MAX_ATTEMPTS": "3"}
)
