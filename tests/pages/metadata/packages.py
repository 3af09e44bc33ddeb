"""How many authors and dates are found on the small pages of other extractors' own tests.

`python -m tests.pages.metadata.packages` fetches trafilatura and htmldate (Apache-2.0) with pip and
prints it; `--wrong` adds what is not as their tests expect. Nothing of them is kept here. They look
for dates in the text of a page too, which is not done here: a date there is mostly another one's.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages.metadata.extraction import extract
from pages.metadata.fields import PageMetadata
from tests.pages.metadata.figures import Score, say

SOURCES = {
    "trafilatura==2.3.1": ("tests/metadata_tests.py", "extract_metadata"),
    "htmldate==1.11.0": ("tests/unit_tests.py", "find_date"),
}
FIELDS = {"author": "authors", "date": "published", "title": "title"}


@dataclass
class Found:
    """The values found on a page, under the names of these tests."""

    page: PageMetadata

    @property
    def author(self) -> str | None:
        return "; ".join(self.page.authors) or None

    @property
    def date(self) -> str | None:
        return self.page.published or None

    @property
    def title(self) -> str | None:
        return self.page.title or None


def found_on(html: Any, *_: Any, **options: Any) -> Found:
    """Return what is found on a page; what asks for more than that is not measured."""
    if not isinstance(html, str) or set(options) - {"extensive", "original_date", "url"}:
        raise TypeError(html)
    content = html.encode("utf-8", "replace")
    return Found(extract(content, charset="utf-8", url=options.get("url") or "https://example.org"))


def found_date(html: Any, *_: Any, **options: Any) -> str | None:
    """Return the date of a page, of its first publication where these tests tell it apart."""
    return found_on(html, **options).date


def statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Yield the statements of a function, each of which runs on its own."""
    yield from function.body


class Scored(ast.NodeTransformer):
    """Makes a call to `score` of each comparison that a test asserts."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return node
        left, right = (ast.unparse(each) for each in (test.left, test.comparators[0]))
        call = f"score({node.lineno}, {left!r}, lambda: ({left}), lambda: ({right}))"
        return ast.copy_location(ast.parse(call).body[0], node)


def measure(source: str, called: str) -> Score:
    """Return how much is right of what a file of tests asserts."""
    result = Score()

    def score(line: int, left: str, found: Any, expected: Any) -> None:
        name = "date" if called == "find_date" else left.rpartition(".")[2]
        if name in FIELDS and (called in left or left.startswith("metadata.")):
            result.add(f"line {line}", _Fields(**{name: found()}), {name: expected()})  # type: ignore[arg-type]

    names = {"extract_metadata": found_on, "find_date": found_date, "score": score}
    for function in ast.parse(source).body:
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
            inside: dict[str, Any] = dict(names)
            for statement in statements(function):
                tree = ast.Module([Scored().visit(statement)], [])
                with suppress(Exception):
                    exec(compile(ast.fix_missing_locations(tree), "", "exec"), inside)
    return result


class _Fields:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


def fetched(package: str, path: str) -> str:
    """Return a file of a package's source distribution."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            package.partition("==")[0],
            "-d",
            folder,
        ]
        subprocess.run([sys.executable, "-m", "pip", *command, package], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            name = next(each for each in packed.getnames() if each.endswith(path))
            member = packed.extractfile(name)
            assert member is not None
            return member.read().decode()


def main() -> None:
    """Print the figures."""
    for package, (path, called) in SOURCES.items():
        say(package)
        measure(fetched(package, path), called).say(wrong="--wrong" in sys.argv)


if __name__ == "__main__":
    main()
