"""Flower's password can't be guessed any faster than others, and operators are let in meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from django.db import connection

from tests.flows.flowers import LOGIN, Flower
from tests.harness.links import Link, link_to_postgresql
from tests.harness.processes import Workers

pytestmark = pytest.mark.django_db(transaction=True)
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture(scope="module")
def database(django_db_setup: None) -> Iterator[Link]:
    link = link_to_postgresql()
    yield link
    link.close()


@pytest.fixture(scope="module")
def flower(
    database: Link, workers: Workers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flower]:
    """A Flower behind one proxy, which says where a request comes from."""
    name = connection.settings_dict["NAME"]
    running = Flower(
        tmp_path_factory.mktemp("flower"),
        FLOWER_BASIC_AUTH=":".join(LOGIN),
        TRUSTED_PROXIES="1",
        DATABASE_URL=f"postgres://commonplace@127.0.0.1:{database.port}/{name}",
    )
    running.start()
    yield running
    running.stop()
    running.broker.close()


def log_in(
    flower: Flower, page: str = "tasks", *, address: str = ELSEWHERE, password: str = LOGIN[1]
) -> httpx.Response:
    headers = {"X-Forwarded-For": f"10.1.2.3, {address}"}
    return httpx.get(f"{flower.url}/{page}", auth=(LOGIN[0], password), headers=headers)


def test_guesses_are_limited_on_all_pages_and_the_operator_is_let_in(flower: Flower) -> None:
    pages = ("tasks", "api/workers", "metrics", "healthcheck", "nothing-here")
    assert log_in(flower, address=HOME).status_code == 200

    guesses = Counter(
        log_in(flower, pages[n % len(pages)], password=f"guess-{n}").status_code for n in range(50)
    )
    refused = [log_in(flower, page) for page in pages]

    assert guesses == Counter({401: 19, 429: 31})
    for answer in refused:
        assert answer.status_code == 429
        assert answer.text.startswith("Too many tries; try again in")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert log_in(flower, address=HOME).status_code == 200
    assert log_in(flower, address=HOME, password="wrong").status_code == 401


def test_a_name_beyond_ascii_is_a_wrong_one(flower: Flower) -> None:
    answer = httpx.get(f"{flower.url}/tasks", auth=("opérateur", "x"))

    assert answer.status_code == 401


def test_while_postgresql_is_away_who_has_logged_in_is_let_in(
    flower: Flower, database: Link
) -> None:
    assert log_in(flower, address=HOME).status_code == 200

    with database.broken("refuse"):
        known = log_in(flower, address=HOME)
        new = log_in(flower, address="192.0.2.77")

    assert (known.status_code, new.status_code) == (200, 503)
    assert "database" in new.text
    assert log_in(flower, address="192.0.2.77").status_code == 200
