from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from tests.conftest import Drain
from tests.imports import feed as feeds
from tests.imports.feed import Feed

ImportFile = Callable[..., dict[str, Any]]
IMPORTS = "/api/v1/imports/"


def upload(client: APIClient, content: bytes, **wishes: Any) -> Any:
    """Upload a file, and return the response."""
    file = SimpleUploadedFile(wishes.pop("name", "file"), content)
    return client.post(IMPORTS, {"file": file, **wishes}, format="multipart")


@pytest.fixture
def bring(drain: Drain, client_of: Callable[[Any], APIClient]) -> ImportFile:
    """Return a function that imports a file by API and workers, and returns its final state."""

    def bring(owner: Any, content: bytes, **wishes: Any) -> dict[str, Any]:
        client = client_of(owner)
        accepted = upload(client, content, **wishes)
        assert accepted.status_code == 202, accepted.content
        drain(60)
        found: dict[str, Any] = client.get(f"{IMPORTS}{accepted.json()['id']}/").json()
        return found

    return bring


@pytest.fixture
def feed(settings: Any) -> Iterator[Feed]:
    """A feed that is served on this machine."""
    with feeds.serving(settings) as served:
        yield served
