from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from stack.embedded import PORT, Servers
from tests.harness.links import Link


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to the test run's PostgreSQL, which can be blackholed."""
    link = Link(Servers(settings.DATA_DIR).run / f".s.PGSQL.{PORT}")
    yield link
    link.close()
