from __future__ import annotations

from contextlib import closing

import redis

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Work

QUEUES = ("plain-notifications", "plain-feeds")


class PlainCelery(System):
    """Plain Celery: a task an event and queue, by Django's ORM; defaults, or a kept connection."""

    def __init__(self, *, keeps_connection: bool) -> None:
        super().__init__()
        self.keeps_connection = keeps_connection

    def launch(self) -> None:
        """This starts a worker for each queue, with Celery's default pool."""
        self.broker = redis.Redis.from_url(self.servers.unix_url)
        self.broker.flushall()
        variables = environment(self.servers) | {
            "DJANGO_SETTINGS_MODULE": "benchmarks.plain.settings",
            "PLAIN_KEEPS_CONNECTION": "1" if self.keeps_connection else "",
        }
        for queue in QUEUES:
            command = ["celery", "-A", "benchmarks.plain.app", "worker", "-Q", queue]
            self.processes.start(queue, [*command, "-n", f"{queue}@%h", "-l", "INFO"], variables)
        wait_until(
            lambda: all(b" ready." in (self.processes.log / f"{q}.log").read_bytes()
                        for q in QUEUES),
            seconds=60, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def enqueue(self, work: Work) -> None:
        """This sends two tasks a card."""
        from benchmarks.plain.app import app
        from benchmarks.plain.tasks import fan_out, notify

        app.conf.broker_url = self.servers.redis_url
        with closing(app.connection_for_write()) as connection:
            for card_id, _ in work.cards:
                notify.apply_async([str(card_id)], connection=connection)
                fan_out.apply_async([str(card_id)], connection=connection)

    def is_done(self) -> bool:
        """This tells whether no message waits, or is in a worker's hands."""
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.llen(queue)
            pipe.hlen("unacked")
            return not any(pipe.execute())

    def stop(self) -> None:
        """This ends the workers, and forgets their messages."""
        super().stop()
        self.broker.flushall()
        self.broker.close()
