"""A client that is made from the OpenAPI schema works as its users would expect."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.flows.running_stack import Reader, RunningStack
from tests.harness.processes import wait_for

BOOKMARKS = b'<DL><DT><A HREF="https://www.postgresql.org/about/">PostgreSQL</A></DL>'


@pytest.fixture
def generated(stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a client from the schema that the stack serves; return the name of its package."""
    schema = tmp_path / "schema.json"
    root = f"http://127.0.0.1:{stack.port}"
    schema.write_bytes(httpx.get(f"{root}/api/schema/", params={"format": "json"}).content)
    command = Path(sys.executable).parent / "openapi-python-client"
    done = subprocess.run(
        [command, "generate", "--path", schema, "--meta", "none", "--output-path", "own_client"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    monkeypatch.syspath_prepend(tmp_path)
    return "own_client"


@pytest.fixture
def client(stack: RunningStack, pair: tuple[Reader, Reader], generated: str) -> Iterator[Any]:
    """The generated client, as somebody uses it."""
    author, _ = pair
    token = author.http.headers["Authorization"].removeprefix("Token ")
    made: Any = import_module(f"{generated}.client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{stack.port}", token=token
    )
    with closing(made.get_httpx_client()):
        yield made


def test_a_generated_client_uploads_a_file_and_adds_a_card(client: Any, generated: str) -> None:
    types: Any = import_module(f"{generated}.types")
    models: Any = import_module(f"{generated}.models")
    imports_create: Any = import_module(f"{generated}.api.imports.imports_create")
    imports_retrieve: Any = import_module(f"{generated}.api.imports.imports_retrieve")
    cards_create: Any = import_module(f"{generated}.api.cards.cards_create")
    file = types.File(
        payload=io.BytesIO(BOOKMARKS), file_name="bookmarks.html", mime_type="text/html"
    )

    job = imports_create.sync(
        client=client, body=models.ImportedFileRequest(file=file, dry_run=False)
    )
    assert isinstance(job, models.Import), job
    wait_for(
        lambda: imports_retrieve.sync(job.id, client=client).status == "done",
        seconds=30,
        what="the import is done",
    )
    counts = imports_retrieve.sync(job.id, client=client).counts
    card = cards_create.sync(
        client=client, body=models.CardInputRequest(type_=models.CardType.NOTE, text="A note")
    )

    assert (counts.added, counts.failed) == (1, 0)
    assert card.text == "A note"
