from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.pages.metadata import web as webs
from tests.pages.metadata.web import Web


@pytest.fixture(scope="session")
def _served() -> Iterator[Web]:
    with webs.running() as running:
        yield running


@pytest.fixture
def web(_served: Web, settings: Any) -> Web:
    """A web of one server; what is saved of it is fetched by the session's workers."""
    _served.replies.clear()
    _served.asked.clear()
    settings.FETCH_METADATA = True
    return _served
