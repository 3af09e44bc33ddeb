"""How much of what pages show is read from them, and how fast.

`python -m tests.pages.metadata.figures` prints it; `--wrong` adds what is not as it should be.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pages.metadata.extraction import extract
from pages.metadata.fields import PageMetadata
from tests.pages.metadata.scholarly import ARTICLES

PAGES = Path(__file__).parent / "pages"
IDENTIFIERS = ("doi", "arxiv", "pmid", "isbn")
ROUNDS = 5


@dataclass
class Score:
    """The number of right values and of all values by field, and the wrong values."""

    right: dict[str, int] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, str, Any, Any]] = field(default_factory=list)

    def add(
        self,
        page: str,
        found: PageMetadata,
        expected: dict[str, Any],
        same: Callable[[str, Any, Any], bool] = lambda _, found, shown: bool(found == shown),
    ) -> None:
        """Count the values of one page."""
        for name, value in expected.items():
            kind = "identifiers" if name in IDENTIFIERS else name
            given = getattr(found, name)
            self.of[kind] = self.of.get(kind, 0) + 1
            is_right = same(name, given, value)
            self.right[kind] = self.right.get(kind, 0) + is_right
            if not is_right:
                self.wrong.append((page, name, given, value))

    def share(self, name: str) -> float:
        """Return the share of a field's values that are right, from 0 to 1."""
        return self.right[name] / self.of[name]

    def say(self, *, wrong: bool) -> None:
        """Print the score, and with `wrong` each wrong value."""
        for name, count in self.of.items():
            say(f"  {name:12} {self.right[name]:3} of {count:3}  {self.share(name):4.0%}")
        for page, name, found, shown in self.wrong if wrong else ():
            say(f"    {page}: {name} is {found!r}, not {shown!r}")


def pages() -> Iterator[tuple[str, str, bytes, dict[str, Any]]]:
    """Yield the real pages: name, address, content and expected values."""
    for name, shown in json.loads((PAGES / "expected.json").read_text()).items():
        content = gzip.decompress((PAGES / f"{name}.html.gz").read_bytes())
        yield name, shown.pop("url"), content, shown


def real() -> Score:
    """Score the extraction from real pages."""
    score = Score()
    for name, url, content, shown in pages():
        score.add(name, extract(content, charset=None, url=url), shown)
    return score


def scholarly() -> Score:
    """Score the extraction from articles with publishers' tags."""
    score = Score()
    for article in ARTICLES:
        found = extract(article.head.encode(), charset=None, url=article.url)
        score.add(article.publisher, found, article.expected)
    return score


def milliseconds() -> tuple[float, int]:
    """Return the CPU time per page, and the bytes per page."""
    contents = [content for _, _, content, _ in pages()]
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for content in contents:
            extract(content, charset=None, url="https://example.org/")
        times.append(time.process_time() - began)
    return 1000 * min(times) / len(contents), sum(map(len, contents)) // len(contents)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print the figures."""
    for title, score in (("Real pages", real()), ("Articles", scholarly())):
        say(title)
        score.say(wrong="--wrong" in sys.argv)
    taken, size = milliseconds()
    say(f"{taken:.2f} ms a page of {size // 1000} kB, {1000 / taken:.0f} pages a second")


if __name__ == "__main__":
    main()
