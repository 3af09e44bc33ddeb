from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient
from xdist.scheduler import LoadFileScheduling

from tests.running import Workers, drain_with

Drain = Callable[..., None]

# Those that take longest begin first, so that both halves of a run end together.
FIRST = ("flows", "faults", "config", "deploy", "events")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This puts them there; the files go to the processes of a run in this order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(FIRST)))


class Sharing(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """It gives out whole files, and all of those at once that share the stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "tests/flows" if file.startswith("tests/flows/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """This isn't left to xdist's groups, which do nothing with pytest 9.2."""
    return Sharing(config, log)


@pytest.fixture(scope="session")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Real worker processes for all queues, on the test database; one set for the whole run."""
    running = Workers(tmp_path_factory.mktemp("workers"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def drain(transactional_db: None, workers: Workers) -> Drain:
    """Runs the relay, beside the real workers, until every delivery is done or dead."""
    return lambda seconds=30.0: drain_with(workers, seconds=seconds)


@pytest.fixture(autouse=True)
def nothing_counted_yet() -> None:
    """Lets no test find the attempts that another one made, or the queues that it paused."""
    from django.core.cache import cache

    from events import controls
    from events.metrics import counters, snapshot

    cache.clear()
    controls.forget()
    counters.forget()
    snapshot.snapshot.forget()


@pytest.fixture(autouse=True)
def no_worker_believes_in_a_pause(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ends each test only when the workers have forgotten what it set for their queues.

    A worker keeps what it has read for FRESH_SECONDS, and would refuse the next test's messages.
    """
    if "workers" not in request.fixturenames:
        yield
        return
    from events import controls
    from events.models import QueueControl
    from tests.running import wait_for

    request.getfixturevalue("transactional_db")
    yield
    if QueueControl.objects.all().delete()[0]:
        forgotten = time.monotonic() + controls.FRESH_SECONDS
        wait_for(lambda: time.monotonic() > forgotten, seconds=5, what="the workers read again")


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
    """This registers one of the cast."""
    from accounts import services

    return services.register(
        username=name, email=f"{name}@example.org", password=f"{name}-reads-a-lot"
    )


@pytest.fixture
def client_of() -> Callable[[Any], APIClient]:
    """Answers an API client with a token of the user's own."""
    from knox.models import AuthToken

    def client(user: Any) -> APIClient:
        _, token = AuthToken.objects.create(user)
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return api

    return client
