"""docs/observing.md lists the messages that are logged: all of them, at their levels."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from config.logs.libraries import OURS
from config.logs.lines import FIELDS
from tests.harness.processes import ROOT

PACKAGES = sorted(OURS - {"tests"})
LEVELS = {
    "debug": "debug", "info": "info", "warning": "warning", "error": "error",
    "exception": "error", "critical": "critical",
}  # fmt: skip
ROW = re.compile(r"^\| (`[^|]+`) \| ([^|]+) \|", re.MULTILINE)


def logged() -> Iterator[tuple[str, str]]:
    """Return each message that a call of a logger names, with its level."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="logger"), attr=method),
                        args=[ast.Constant(value=str(message)), *_],
                    ) if method in LEVELS:
                        yield message, LEVELS[method]


def documented() -> dict[str, set[str]]:
    """Return the levels of each message that the page lists; `queue.…` stands for all of queues."""
    found: dict[str, set[str]] = defaultdict(set)
    text = (ROOT / "docs" / "observing.md").read_text()
    for names, levels in ROW.findall(text.partition("| message | level |")[2]):
        for name in re.findall(r"`([a-z_.…]+)`", names):
            found[name] |= set(re.findall(r"[a-z]+", levels))
    return found


def test_every_message_is_listed_at_its_level() -> None:
    listed = documented()

    def levels_of(message: str) -> set[str]:
        family = f"{message.partition('.')[0]}.…"
        return listed.get(message, set()) | listed.get(family, set())

    assert {
        (message, level) for message, level in logged() if level not in levels_of(message)
    } == set()


def test_every_message_that_is_listed_exists() -> None:
    texts = "".join(
        file.read_text() for package in PACKAGES for file in (ROOT / package).rglob("*.py")
    )

    assert [name for name in documented() if name.rstrip("…") not in texts] == []


def test_every_package_is_logged_as_our_own() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}

    assert packages - {"benchmarks"} == OURS


def extras() -> Iterator[tuple[str, str]]:
    """Return each field of a literal `extra`, with the file that logs it."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.keyword(arg="extra", value=ast.Dict(keys=keys)):
                        names = (key.value for key in keys if isinstance(key, ast.Constant))
                        yield from ((str(name), str(file.relative_to(ROOT))) for name in names)


def test_every_field_is_one_that_is_written() -> None:
    assert [(name, file) for name, file in extras() if name not in FIELDS] == []
