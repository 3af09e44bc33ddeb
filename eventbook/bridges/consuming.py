"""The process that takes in a bridge's events: `manage.py bridge consume NAME`."""

from __future__ import annotations

import logging
import threading

from eventbook.bridges.kinds import source_of
from eventbook.bridges.outages import outages
from eventbook.bridges.taking_in import PARKED, take_in
from eventbook.bridges.vitals import BridgeVitals
from eventbook.declare.bridges import Bridge
from eventbook.observe import counters

logger = logging.getLogger(__name__)

BATCH = 100  # messages taken in by one transaction: what is in flight
FETCH_SECONDS = 0.5  # how long a poll waits for the first message


class Consumer:
    """The main loop of a bridge that consumes; `stop` makes `run` return after the current batch.

    Several may run: an event that two of them get has one effect.
    """

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.source = source_of(bridge)
        self.vitals = BridgeVitals(f"consume {bridge.name}")
        self.stopped = threading.Event()

    def run(self) -> None:
        """Take in events until `stop` is called; retry once a second while a server is down."""
        while not self.stopped.is_set():
            with outages(self.bridge, self.vitals, self.stopped):
                self.step()
                self.vitals.progress()
                counters.flush(older_than=counters.FLUSH_SECONDS)
        counters.flush()
        self.source.close()

    def stop(self) -> None:
        """Make `run` return soon."""
        self.stopped.set()

    def step(self) -> int:
        """Take in the next messages, acknowledge them, and return how many there were."""
        arrivals = self.source.fetch(BATCH, FETCH_SECONDS)
        if arrivals:
            outcomes = take_in(self.bridge, arrivals)
            self.source.acknowledge(arrivals)
            name = self.bridge.name
            for outcome, count in outcomes.items():
                counters.count("bridge_consumed_total", count, bridge=name, outcome=outcome)
            if outcomes[PARKED]:
                logger.error("bridge.parked", extra={"bridge": name, "count": outcomes[PARKED]})
        return len(arrivals)
