"""What a bridge's process does while its target or PostgreSQL is down: wait, and say so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection

from eventbook.bridges.kinds import place_of
from eventbook.bridges.targets.base import TargetDown
from eventbook.bridges.vitals import BridgeVitals
from eventbook.declare.bridges import Bridge
from eventbook.declare.events import NewerEvent
from eventbook.observe.failures import connection_error
from eventbook.observe.vitals import DATABASE

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0  # between two attempts


@contextmanager
def outages(bridge: Bridge, vitals: BridgeVitals, stopped: threading.Event) -> Iterator[None]:
    """Log an outage that ends the block, and wait before the next attempt, or until `stopped`."""
    try:
        yield
    except TargetDown as error:
        vitals.target_down(f"{place_of(bridge)} does not respond: {error}")
        logger.warning("bridge.target_down", extra={"bridge": bridge.name, "error": str(error)})
        stopped.wait(OUTAGE_SECONDS)
    except NewerEvent as error:
        vitals.target_down(f"events of a newer release wait: {error}")
        stopped.wait(OUTAGE_SECONDS)
    except (OperationalError, InterfaceError) as error:
        vitals.wait_for(DATABASE)
        logger.warning("bridge.database_down", extra={"error": connection_error(error)})
        connection.close()
        stopped.wait(OUTAGE_SECONDS)
