from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient
from xdist.scheduler import LoadFileScheduling

from tests.harness.processes import Workers, drain_with

Drain = Callable[..., None]

# Folders with the slowest tests, which run first so that all test processes end together.
BROKER = re.compile(r"^tests/faults/.*[\[-]broker=(\w+)")
FIRST = ("flows", "faults", "stack", "config", "server", "deploy", "eventbook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort tests by FIRST; files are given to the test processes in this order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(top_folder(item.path), len(FIRST)))


def top_folder(path: Path) -> str:
    """Return the name of the folder directly under tests/ in which a test is."""
    return path.relative_to(Path(__file__).parent).parts[0]


class Sharing(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Give each test process whole files, or all tests that share processes which start slowly.

    These are the files of tests/flows, and the tests of tests/faults on one broker.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if broker := BROKER.search(nodeid):
            return f"tests/faults {broker[1]}"
        return "tests/flows" if file.startswith("tests/flows/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Use our scheduler, because xdist's own groups have no effect with pytest 9.2."""
    return Sharing(config, log)


@pytest.fixture(scope="session")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Start real workers of all queues on the test database, once per test process."""
    running = Workers(tmp_path_factory.mktemp("workers"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def drain(transactional_db: None, workers: Workers) -> Drain:
    """Return a function that runs the relay until the workers have finished every delivery."""
    return lambda seconds=30.0: drain_with(workers, seconds=seconds)


@pytest.fixture
def no_deleted_rows(db: None) -> None:
    """Leave no deleted rows of earlier tests, for a test that counts the entries that it reads."""
    from tests.harness import tables

    tables.truncate()


@pytest.fixture(autouse=True)
def nothing_counted_yet() -> Iterator[None]:
    """Clear caches and counters, so that no test sees the attempts or pauses of another."""
    from django.core.cache import cache

    from eventbook.deliveries import controls
    from eventbook.observe import counters
    from eventbook.operate.metrics import snapshot

    cache.clear()
    controls.clear_cache()
    counters.forget()
    snapshot.snapshot.clear()
    yield
    # A batch run in this process leaves a thread, which would flush the counts after the test.
    counters.forget()


@pytest.fixture(autouse=True)
def no_worker_believes_in_a_pause(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove a test's queue controls, and wait until the workers no longer cache them.

    A worker caches them for FRESH_SECONDS, and would refuse the next test's messages.
    """
    if "workers" not in request.fixturenames:
        yield
        return
    from eventbook.deliveries import controls
    from eventbook.models import QueueControl
    from tests.harness.processes import wait_for

    request.getfixturevalue("transactional_db")
    yield
    if QueueControl.objects.all().delete()[0]:
        forgotten = time.monotonic() + controls.FRESH_SECONDS
        wait_for(lambda: time.monotonic() > forgotten, seconds=5, what="the workers read again")


@pytest.fixture
def link() -> Iterator[Any]:
    """A link to the test run's PostgreSQL, which can be blackholed (tests/harness/links.py)."""
    from tests.harness.links import link_to_postgresql

    link = link_to_postgresql()
    yield link
    link.close()


@pytest.fixture
def alice(db: None) -> Any:
    return person("alice")


@pytest.fixture
def bob(db: None) -> Any:
    return person("bob")


@pytest.fixture
def charlie(db: None) -> Any:
    return person("charlie")


def person(name: str) -> Any:
    """Register a user of the cast: Alice, Bob or Charlie."""
    from accounts import services

    return services.register(
        username=name, email=f"{name}@example.org", password=f"{name}-reads-a-lot"
    )


@pytest.fixture
def client_of() -> Callable[[Any], APIClient]:
    """Return a function that returns an API client logged in as a user."""
    from knox.models import AuthToken

    def client(user: Any) -> APIClient:
        _, token = AuthToken.objects.create(user)
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return api

    return client


@pytest.fixture(scope="session")
def _served() -> Iterator[Any]:
    from tests.pages.metadata import web

    with web.running() as running:
        yield running


@pytest.fixture
def web(_served: Any, settings: Any) -> Any:
    """Return an empty web of one server, whose pages the session's workers fetch."""
    _served.replies.clear()
    _served.asked.clear()
    settings.FETCH_METADATA = True
    return _served
