"""The local stack on other brokers: a card reaches a follower."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stack import rabbitmq
from stack.binaries import ProgramMissing
from stack.supervision import Supervisor
from tests.flows.running_stack import Reader, RunningStack

Start = Callable[[str], RunningStack]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return a function that starts a stack with a broker's address."""
    stacks = []

    def start(url: str) -> RunningStack:
        (tmp_path / "data").mkdir()
        monkeypatch.setenv("BROKER_URL", url)
        stacks.append(RunningStack(tmp_path / "data"))
        stacks[-1].start()
        return stacks[-1]

    yield start
    for stack in stacks:
        assert stack.stop() == 0
        assert "SIGKILL" not in (stack.data / "log" / "supervisord.log").read_text()


def test_without_a_broker_no_worker_is_needed(running: Start) -> None:
    stack = running("none")

    assert names(stack.supervision) == {"postgres", "web", "relay", "beat", "exporter"}
    a_card_reaches_a_follower(stack)


def test_on_rabbitmq_no_valkey_is_needed(running: Start, tmp_path: Path) -> None:
    try:
        server = rabbitmq.running(tmp_path / "rabbitmq")
        with server as broker:
            stack = running(broker.url)
            assert "valkey" not in names(stack.supervision)
            assert "feed-worker" in names(stack.supervision)
            a_card_reaches_a_follower(stack)
        # The stack stops without the broker, too: see the fixture.
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: RabbitMQ. {error}")


def names(supervision: Supervisor) -> set[str]:
    """Return the names of the running programs."""
    return {str(each["name"]) for each in supervision.processes()}


def a_card_reaches_a_follower(stack: RunningStack) -> None:
    author, follower = Reader(stack), Reader(stack)
    with closing(author.http), closing(follower.http):
        follower.follow(author)
        stack.wait_until_delivered(seconds=30)

        url = "https://example.org/a-card"
        author.add(url).raise_for_status()

        stack.wait_until_delivered(seconds=30)
        assert follower.feed() == follower.notified() == {url}
