from __future__ import annotations

import time

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import BrokerSystem, python_producer
from benchmarks.work import Cards

QUEUES = ("plain-notifications", "plain-feeds")


class PlainCelery(BrokerSystem):
    """Plain Celery with Django's ORM: one task per event and queue.

    With `keeps_connection`, workers keep their database connection; Celery's default is not to.
    """

    share = 0.1

    def __init__(self, *, keeps_connection: bool) -> None:
        super().__init__()
        self.keeps_connection = keeps_connection
        self.name = "Celery, connection kept" if keeps_connection else "Celery"

    def launch(self) -> None:
        """Start the producer, and a worker with Celery's default pool for each queue."""
        variables = environment(self.servers) | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings",
            "PLAIN_KEEPS_CONNECTION": "1" if self.keeps_connection else "",
        }
        for queue in QUEUES:
            command = ["celery", "-A", "benchmarks.plain.app", "worker", "-Q", queue]
            self.processes.start(queue, [*command, "-n", f"{queue}@%h"], variables)
        self.producer = python_producer(self.processes, "benchmarks.plain.producer", variables)
        wait_until(
            self._is_ready, seconds=60, what="the workers are ready", processes=self.processes
        )

    def _is_ready(self) -> bool:
        from benchmarks.plain.app import app

        app.conf.broker_url = self.servers.redis_url
        return len(app.control.inspect(timeout=0.5).ping() or {}) == len(QUEUES)

    def enqueue(self, cards: Cards) -> None:
        """Let the producer send two tasks per card."""
        self.producer.order("enqueue", cards)

    def is_done(self) -> bool:
        """Return whether no message is waiting or being processed.

        A message that a worker has just fetched is briefly in neither list, so two checks must
        agree.
        """
        if self._is_empty():
            time.sleep(0.02)
            return self._is_empty()
        return False

    def _is_empty(self) -> bool:
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.llen(queue)
            pipe.hlen("unacked")
            return not any(pipe.execute())
