"""The process that publishes a bridge's events: `manage.py bridge publish NAME`."""

from __future__ import annotations

import logging
import threading
import time

from eventbook.bridges import entries
from eventbook.bridges.envelope import Message
from eventbook.bridges.kinds import target_of
from eventbook.bridges.outages import outages
from eventbook.bridges.targets.base import TargetDown
from eventbook.bridges.translating import ids_of, translate, waves
from eventbook.bridges.vitals import BridgeVitals
from eventbook.database.listener import Listener
from eventbook.declare.bridges import Bridge
from eventbook.observe import counters

logger = logging.getLogger(__name__)

BATCH = 500  # entries read at once: what is in flight while a target is slow
IDLE_SECONDS = 0.25  # between two polls without a notification
# A step ends after the wave in which this time has passed: of a slow target, too, events are soon
# known to be published, and are not published again after a crash.
STEP_SECONDS = 20.0


class Publisher:
    """The main loop of a bridge that publishes; `stop` makes `run` return after the current wave.

    An entry is deleted after the target has confirmed its message, so a bridge that is killed in
    between sends the message again, with the same id. A second process of the bridge waits until
    the first one's database session ends.
    """

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.target = target_of(bridge)
        self.vitals = BridgeVitals(f"publish {bridge.name}")
        self.stopped = threading.Event()

    def run(self) -> None:
        """Publish until `stop` is called; retry once a second while a server is down."""
        listener = Listener("outbox")
        while not self.stopped.is_set():
            with outages(self.bridge, self.vitals, self.stopped):
                found = self.step() if entries.lock(self.bridge.name) else 0
                if not found:
                    self.target.idle()
                self.vitals.progress()
                counters.flush(older_than=counters.FLUSH_SECONDS)
                if not found:
                    listener.wait(IDLE_SECONDS)
        counters.flush()
        listener.close()
        self.target.close()

    def stop(self) -> None:
        """Make `run` return soon."""
        self.stopped.set()

    def step(self) -> int:
        """Publish the next batch of entries; return how many there were."""
        found = entries.read(self.bridge.name, BATCH)
        batch = translate(found, self.bridge)
        entries.park(batch.failed)
        settled = {entry.id for entry in found} - batch.failed.keys() - batch.messages.keys()
        end = time.monotonic() + STEP_SECONDS
        try:
            for wave in waves(batch.messages):
                if self.stopped.is_set():
                    break
                settled.update(self._publish(wave))
                if time.monotonic() > end:
                    break
        except TargetDown as error:
            settled.update(ids_of(batch.messages, error.confirmed))
            raise
        finally:
            entries.delete(settled)
        if batch.failed:
            logger.error(
                "bridge.parked", extra={"bridge": self.bridge.name, "count": len(batch.failed)}
            )
        return len(found)

    def _publish(self, wave: dict[int, Message]) -> set[int]:
        """Publish messages of different aggregates; return the entries that need no other attempt.

        Park the messages that the target refuses.
        """
        refused = self.target.publish(list(wave.values()))
        reasons = {id: refused[message.id] for id, message in wave.items() if message.id in refused}
        entries.park(reasons)
        if reasons:
            logger.error("bridge.parked", extra={"bridge": self.bridge.name, "count": len(reasons)})
        published = wave.keys() - reasons.keys()
        counters.count("bridge_published_total", len(published), bridge=self.bridge.name)
        return published
