"""docs/operating.md lists every environment variable that the settings read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.queues import group_of_command
from server.limits import Limits
from tests.harness.processes import ROOT

DOCUMENTED = (ROOT / "docs" / "operating.md").read_text()
# Set by Fly.io, and read only where the variable of the same meaning is unset.
OF_THE_PLATFORM = {"FLY_IMAGE_REF", "FLY_PROCESS_GROUP"}


def variables_of(file: Path) -> Iterator[str]:
    """Yield the names in a file's calls `env("NAME")`, `env.int("NAME")` and so on."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(
                func=ast.Name(id="env") | ast.Attribute(value=ast.Name(id="env")),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def test_the_page_lists_every_variable() -> None:
    files = [*(ROOT / "config").rglob("*.py"), ROOT / "server" / "__main__.py"]
    read = {name for file in files for name in variables_of(file)}
    read |= {name.upper() for name in vars(Limits())}

    assert len(read) > 70
    assert {name for name in read - OF_THE_PLATFORM if f"`{name}`" not in DOCUMENTED} == set()


@pytest.mark.parametrize(
    ("command", "group"),
    [
        ("manage.py worker feeds", "feed-worker"),
        ("manage.py worker --traceback feeds", "feed-worker"),
        ("manage.py worker feeds events", "feeds+events-worker"),
        ("manage.py relay", ""),
        ("-m", ""),
    ],
)
def test_a_worker_is_named_for_its_queues(command: str, group: str) -> None:
    assert group_of_command(command.split()) == group


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_limit_that_limits_nothing_or_all_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="HEAD_SECONDS"):
        Limits(head_seconds=value)
