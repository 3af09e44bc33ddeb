from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.running_stack import Reader, RunningStack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole local stack, as `make up` starts it, with data of its own."""
    running = RunningStack(tmp_path_factory.mktemp("stack"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def pair(stack: RunningStack) -> Iterator[tuple[Reader, Reader]]:
    """An author, and a reader who follows."""
    author, follower = Reader(stack), Reader(stack)
    follower.follow(author)
    stack.wait_until_delivered(seconds=30)
    yield author, follower
    author.http.close()
    follower.http.close()
