"""Run a PostgreSQL and a Valkey for the tests, in a temporary directory.

Loaded with pytest's `-p` before the settings, which read the servers' addresses from the
environment.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

DATA = Path(tempfile.mkdtemp(prefix="commonplace-test-"))
for given in ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "SECRET_KEY", "DEBUG"):
    os.environ.pop(given, None)
os.environ["DATA_DIR"] = str(DATA)
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["IDLE_TRANSACTION_SECONDS"] = "5"
# Small, so that tests need few followers to exceed it.
os.environ["FAN_OUT_RANGE"] = "20"
# Immediate retries and short leases, so that tests don't wait.
for queue in ("NOTIFICATIONS", "FEEDS", "EVENTS", "IMPORTS"):
    os.environ[f"{queue}_MAX_ATTEMPTS"] = "3"
    os.environ[f"{queue}_BACKOFF_SECONDS"] = "0"
    os.environ[f"{queue}_LEASE_SECONDS"] = "2"
    os.environ[f"{queue}_REDELIVERY_SECONDS"] = "2"

# No metadata is fetched, except by the tests of fetching, which run a web server at this address.
os.environ["FETCH_METADATA"] = "0"
with socket.create_server(("127.0.0.1", 0)) as _free:
    WEB_PORT = _free.getsockname()[1]
os.environ["FETCH_TRUSTED"] = f"127.0.0.1:{WEB_PORT},localhost:{WEB_PORT}"
os.environ["METADATA_REGISTRIES"] = f"http://127.0.0.1:{WEB_PORT}"
os.environ["METADATA_CONCURRENCY"] = "2"
os.environ["METADATA_BACKOFF_SECONDS"] = "0"

_running = ExitStack()
# The broker of the tests: Valkey, or RabbitMQ if the environment says so.
_rabbitmq = None
if os.environ.get("TEST_BROKER") == "rabbitmq":
    from stack.rabbitmq import RabbitMQ

    _rabbitmq = RabbitMQ(DATA / "rabbitmq")
    os.environ["BROKER_URL"] = _rabbitmq.url


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the servers, in each process that runs tests."""
    from stack import embedded
    from stack.watcher import VARIABLE, new_mark, watching

    # The xdist controller, which only distributes tests, needs no servers.
    option, is_one_of_them = session.config.option, "PYTEST_XDIST_WORKER" in os.environ
    if not option.collectonly and (option.dist == "no" or is_one_of_them):
        # The watcher ends the servers if this process is killed.
        mark = os.environ[VARIABLE] = new_mark(DATA)
        _running.enter_context(watching(mark))
        _running.enter_context(embedded.using(DATA))
        if _rabbitmq is not None:
            _running.callback(_rabbitmq.stop)
            _rabbitmq.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()
    shutil.rmtree(DATA, ignore_errors=True)
