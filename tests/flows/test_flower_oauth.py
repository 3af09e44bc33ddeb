"""Logins to Flower: settings that let anybody in are refused, and OAuth decides the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from server.flower.guard import refusal
from tests.flows.flowers import Flower
from tests.flows.outside import IdentityProvider, log_in, serving
from tests.harness.processes import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def guarded_by_oauth(
    workers: Workers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flower]:
    """A Flower that lets those log in whom a provider knows, and that are of example.org."""
    with ExitStack() as ending:
        provider = ending.enter_context(serving(IdentityProvider))
        running = Flower(
            tmp_path_factory.mktemp("oauth"),
            FLOWER_URL_PREFIX="/flower",
            FLOWER_AUTH_PROVIDER="flower.views.auth.OktaLoginHandler",
            FLOWER_AUTH=".*@example.org",
            FLOWER_OAUTH2_KEY="flower",
            FLOWER_OAUTH2_SECRET="known-to-both",
            FLOWER_OAUTH2_OKTA_BASE_URL=provider,
            FLOWER_OAUTH2_REDIRECT_URI="http://127.0.0.1/flower/login",
        )
        running.start()
        ending.callback(running.broker.close)
        ending.callback(running.stop)
        yield running


def test_who_is_known_to_the_provider_and_allowed_logs_in_by_oauth(
    guarded_by_oauth: Flower,
) -> None:
    flower = guarded_by_oauth
    with flower.browser() as alice, flower.browser() as eve:
        home = log_in(alice, "alice@example.org")
        entry = alice.get(home.headers["Location"])
        tasks = alice.get("/flower/tasks").status_code
        metrics = alice.get("/flower/metrics").status_code
        refused = log_in(eve, "eve@example.com").status_code
        outside = [
            eve.get(f"/flower/{page}").status_code for page in ("tasks", "api/tasks", "metrics")
        ]
        flower.stop()
        flower.start()
        later = alice.get("/flower/tasks").status_code

    assert (home.status_code, entry.headers["Location"]) == (302, "/flower/")
    assert (tasks, metrics) == (200, 200)
    assert (refused, outside) == (403, [302, 302, 401])
    assert later == 200


LOGINS = {
    "FLOWER_AUTH_PROVIDER": "flower.views.auth.OktaLoginHandler",
    "FLOWER_AUTH": "alice@example.org",
    "FLOWER_OAUTH2_KEY": "flower",
    "FLOWER_OAUTH2_SECRET": "known-to-both",
    "FLOWER_OAUTH2_REDIRECT_URI": "https://flower.example.org/login",
}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "needs a login"),
        ({"FLOWER_BASIC_AUTH": "operator"}, "name:password"),
        ({"FLOWER_BASIC_AUTH": "operator:"}, "name:password"),
        ({"FLOWER_BASIC_AUTH": "operator:wörd"}, "ASCII"),
        (
            {"FLOWER_AUTH_PROVIDER": LOGINS["FLOWER_AUTH_PROVIDER"]},
            "FLOWER_AUTH, FLOWER_OAUTH2_KEY",
        ),
        (LOGINS | {"FLOWER_AUTH": ".*"}, "one domain"),
        (LOGINS | {"FLOWER_AUTH": ".*@.*"}, "one domain"),
        (LOGINS, ""),
        ({"FLOWER_BASIC_AUTH": "operator:word,second:word"}, ""),
    ],
)
def test_a_login_that_lets_anybody_in_is_refused(variables: dict[str, str], words: str) -> None:
    reason = refusal(variables)

    assert words in reason
    assert bool(reason) == bool(words)


def test_without_a_login_flower_does_not_start(tmp_path: Any, workers: Workers) -> None:
    flower = Flower(tmp_path)

    process = flower.launch()

    assert process.wait(timeout=30) == 1
    assert "Flower needs a login" in flower.log.read_text()
    flower.broker.close()
