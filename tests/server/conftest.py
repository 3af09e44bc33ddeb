from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from accounts.models import User
from tests.harness.web import Client, WebProcess
from tests.library import token_of

Listen = Callable[..., Client]


@pytest.fixture
def listen(web: WebProcess) -> Iterator[Listen]:
    """Return a function that opens a stream of the module's `web`; close all at the end."""
    opened: list[Client] = []

    def listen(user: User, last_id: str = "") -> Client:
        opened.append(Client(web, token_of(user), last_id))
        return opened[-1].__enter__()

    yield listen
    for client in opened:
        client.kill()


def api(web: WebProcess, user: User, path: str, **more: Any) -> Any:
    """Send a request to the API, and return the parsed response."""
    headers = {"Authorization": f"Token {token_of(user)}"}
    return httpx.request(
        more.pop("method", "GET"), f"{web.url}/api/v1/{path}", headers=headers, timeout=20, **more
    ).json()
