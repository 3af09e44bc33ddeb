"""The test run's own PostgreSQL and Valkey, in a directory of their own.

Loaded with `-p`, before the settings are: they take the servers from the environment.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

DATA = Path(tempfile.mkdtemp(prefix="commonplace-test-"))
for given in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG"):
    os.environ.pop(given, None)
os.environ["DATA_DIR"] = str(DATA)
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["IDLE_TRANSACTION_SECONDS"] = "3"
# Who has more than 40 followers has many.
os.environ["FAN_OUT_RANGE"] = "20"
# Retries at once, and a dead worker noticed soon: the waiting is not what is tested.
for queue in ("NOTIFICATIONS", "FEEDS", "EVENTS"):
    os.environ[f"{queue}_MAX_ATTEMPTS"] = "3"
    os.environ[f"{queue}_BACKOFF_SECONDS"] = "0"
    os.environ[f"{queue}_LEASE_SECONDS"] = "2"
    os.environ[f"{queue}_REDELIVERY_SECONDS"] = "2"

_running = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    from config import embedded

    if not session.config.option.collectonly:
        _running.enter_context(embedded.using(DATA))


def pytest_unconfigure(config: pytest.Config) -> None:
    _running.close()
    shutil.rmtree(DATA, ignore_errors=True)
