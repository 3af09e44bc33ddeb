"""`python -m server`: serve the site.

The main process binds the port, starts WEB_PROCESSES child processes, and replaces each one that
dies or hangs. It must not load the settings: its child processes need different ones
(server/wsgi.py).
"""

from __future__ import annotations

import sys
from typing import Any

import environ
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "config.logs.server_formatter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "lines",
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {"uvicorn": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}


def configuration() -> uvicorn.Config:
    """Return uvicorn's configuration, with the values that the environment sets."""
    env = environ.Env()
    return uvicorn.Config(
        "server.application:application",
        host=env("WEB_ADDRESS", default="127.0.0.1"),
        port=env.int("WEB_PORT", default=8000),
        workers=env.int("WEB_PROCESSES", default=1),
        interface="asgi3",
        http="server.connections:Connection",
        loop="uvloop",
        ws="none",
        lifespan="on",
        # Django alone decides which proxies to trust (TRUSTED_PROXIES).
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=LOGGING,
        # Far longer than any deadline of server.connections, which closes idle connections.
        timeout_keep_alive=3600,
        timeout_graceful_shutdown=env.int("WEB_STOP_SECONDS", default=10),
        # A child process that doesn't respond to its parent for this long counts as hanging.
        timeout_worker_healthcheck=env.int("WEB_HANG_SECONDS", default=60),
    )


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which also replaces a child process that dies during a health check."""

    def keep_subprocess_alive(self) -> None:
        """Replace each child process that has died or hangs."""
        # A copy of the child's end of the pipe stays open here. With it, the death of the child
        # would end no health check: for WEB_HANG_SECONDS, nothing would be replaced or stopped.
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()


def main() -> None:
    """Serve until a stop signal; exit with uvicorn's code if a process could not start."""
    config = configuration()
    supervisor = Supervisor(config, [config.bind_socket()])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
