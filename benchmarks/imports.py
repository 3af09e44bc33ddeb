"""`python -m benchmarks.imports`: measure parsers, and an import of 50,000 bookmarks.

Meanwhile another user adds a card every 50 ms. The latency of these cards, from commit to
notification and feed, is measured three times: without the import, beside it, and beside a loop
with the lowest priority. The loop shows the cost of one busy core, whatever keeps it busy.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from benchmarks import servers as bench
from benchmarks.__main__ import DATA
from benchmarks.servers import Processes, command_of, environment, wait_until

GROUPS = ("relay", "notification-worker", "feed-worker", "import-worker")
FORMATS = 10_000  # rows of each format
CARD_SECONDS = 0.05
SECONDS = 10  # duration of the measurements without the import
LATENCY = """
    SELECT handler, extract(epoch FROM finished_at - recorded_at) * 1000 FROM eventbook_delivery
    WHERE priority = 5 AND state = 'done' AND handler = ANY(%s) AND recorded_at > %s
"""
BIBLIOGRAPHY = bench.ROOT / "tests" / "imports" / "files" / "tugboat.bib"
HANDLERS = ["notifications.notify_card_added", "feeds.fan_out"]


def main() -> None:
    """Measure, and write the figures to imports.json in the data directory and the terminal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports")
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args()
    with bench.project(DATA) as servers:
        found = {
            "load_average": os.getloadavg(),
            "parsers": dict(parsers()),
            "import": run(servers, options.rows),
        }
    (DATA / "imports.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


def addresses(count: int) -> Iterator[str]:
    """Yield `count` different addresses on real sites."""
    real = (bench.ROOT / "demo" / "data" / "urls.txt").read_text().splitlines()
    for number in range(count):
        yield f"{real[number % len(real)]}?n={number // len(real)}"


def bookmarks(count: int) -> bytes:
    """Return a bookmark file with `count` bookmarks in 200 folders."""
    parts, size = ["<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n"], max(1, count // 200)
    for number, url in enumerate(addresses(count)):
        if number % size == 0:
            parts.append("</DL><p>\n" if number else "")
            parts.append(f"<DT><H3>Folder {number // size}</H3><DL><p>\n")
        tags, date = f"reading,n{number % 50}", 1_400_000_000 + number
        parts.append(
            f'<DT><A HREF="{escape(url)}" ADD_DATE="{date}" TAGS="{tags}">'
            f"What is to be read, number {number}</A>\n<DD>A note of a line or so on why.\n"
        )
    return "".join([*parts, "</DL><p></DL><p>\n"]).encode()


def parsers() -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the rows per second of each parser, on one core."""
    from imports.files.documents import Document
    from imports.files.formats import rows
    from imports.files.items import Item

    for name, content in files(FORMATS).items():
        began = time.process_time()
        count = sum(isinstance(row, Item) for row in rows(Document(content))[1])
        seconds = time.process_time() - began
        yield name, {"rows": count, "rows_per_second": round(count / seconds)}


def files(count: int) -> dict[str, bytes]:
    """Return a file of each format, with about `count` rows."""
    from tests.imports import samples

    urls = list(addresses(count))
    item = "<item><guid>{0}</guid><title>A title of some length</title><link>{0}</link></item>"
    escaped = [escape(url) for url in urls]
    items = "".join(map(item.format, escaped[:2000]))
    outlines = "".join(f'<outline xmlUrl="{url}"/>' for url in escaped)
    return {
        "html": bookmarks(count),
        "list": "\n".join(urls).encode(),
        "csv": ("url,title,tags\n" + "".join(f'"{u}",A title,a|b\n' for u in urls)).encode(),
        "pinboard": json.dumps([{"href": url, "tags": "a b"} for url in urls]).encode(),
        "feed": f"<rss><channel>{items}</channel></rss>".encode(),
        "opml": f"<opml><body>{outlines}</body></opml>".encode(),
        "ris": samples.RIS * (count // 5),
        "csl": json.dumps(json.loads(samples.CSL) * count).encode(),
        "bibtex (TUGboat)": BIBLIOGRAPHY.read_bytes(),
    }  # fmt: skip


def run(servers: Any, count: int) -> dict[str, Any]:
    """Import bookmarks with real processes, while another user adds cards one by one."""
    from django.core.management import call_command

    call_command("flush", interactive=False, verbosity=0)
    processes = Processes(DATA / "imports-log")
    for group in GROUPS:
        processes.start(group, command_of(group), environment(servers) | {"PROCESS_NAME": group})
    try:
        return _measured(processes, count)
    finally:
        processes.stop()


def _measured(processes: Processes, count: int) -> dict[str, Any]:
    """Measure cards alone, beside a loop, and beside an import; return the figures."""
    from accounts import services as people
    from cards.models import Card
    from imports.models import Import
    from imports.services import request_import

    importer, author, reader = (person() for _ in range(3))
    for followed in (importer, author):
        people.follow(follower=reader, followed=followed, notify=True)
    with Steady(author) as steady:
        wait_until(warm, seconds=60, what="cards arrive", processes=processes)
        alone = steady.measured(lambda: time.sleep(SECONDS))
        loop = steady.measured(keep_a_core_busy)
        memory: list[int] = []

        def imported() -> None:
            request_import(owner=importer, content=bookmarks(count), visibility="PUBLIC")
            wait_until(lambda: ended(processes, memory), seconds=900, what="", processes=processes)

        began = time.monotonic()
        beside = steady.measured(imported)
        seconds = time.monotonic() - began
    job = Import.objects.get()
    wait_until(delivered, seconds=300, what="all is delivered", processes=processes)
    return {
        "rows": job.read,
        "added": Card.objects.filter(curator=importer).count(),
        "seconds": round(seconds, 1),
        "rows_per_second": round(job.read / seconds),
        "seconds_until_delivered": round(time.monotonic() - began, 1),
        "worker_pss_mb": {
            f"after {part} %": memory[(len(memory) - 1) * part // 100] >> 20
            for part in (0, 25, 50, 75, 100)
        },
        "interactive_ms": {"alone": alone, "beside a loop": loop, "beside the import": beside},
    }


def keep_a_core_busy() -> None:
    """Keep a core busy for SECONDS, with the lowest priority."""
    program = f"import time\nend = time.time() + {SECONDS}\nwhile time.time() < end: pass"
    subprocess.run(["nice", "-n", "19", sys.executable, "-c", program], check=True)


def ended(processes: Processes, memory: list[int]) -> bool:
    """Record the worker's memory, and return whether the import has ended."""
    from imports.models import Import

    memory.append(processes.memory()["import-worker"])
    time.sleep(0.25)
    return Import.objects.filter(status="done").exists()


def warm() -> bool:
    """Return whether the workers have warmed up: over 100 deliveries are done."""
    from eventbook.models import Delivery

    return Delivery.objects.filter(state="done").count() > 100


def delivered() -> bool:
    """Return whether all events have been delivered."""
    from benchmarks.work import UNFINISHED
    from eventbook.database.statements import execute

    return execute(UNFINISHED).rows == [(False,)]


def person() -> Any:
    """Register a user with a random name."""
    from accounts import services

    name = f"p{secrets.token_hex(5)}"
    return services.register(
        username=name, email=f"{name}@example.org", password=secrets.token_urlsafe(12)
    )


class Steady:
    """A user who adds a card every CARD_SECONDS during the block."""

    def __init__(self, author: Any) -> None:
        self.author = author
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._add)

    def __enter__(self) -> Steady:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _add(self) -> None:
        from cards.services import add_card

        number = 0
        while not self._ended.wait(CARD_SECONDS):
            number += 1
            url = f"https://example.org/{self.author.pk}/{number}"
            add_card(curator=self.author, type="URL", url=url)

    def measured(self, work: Callable[[], None]) -> dict[str, dict[str, float]]:
        """Call `work`; return the latency of cards meanwhile, in ms by handler and percentile."""
        from django.utils import timezone

        from eventbook.database.statements import execute

        began = timezone.now()
        work()
        time.sleep(1)
        found: dict[str, list[float]] = {}
        for handler, milliseconds in execute(LATENCY, [HANDLERS, began]).rows:
            found.setdefault(handler, []).append(float(milliseconds))
        return {
            handler: {
                "p50": round(statistics.median(times), 1),
                "p99": round(statistics.quantiles(times, n=100)[98], 1),
            }
            for handler, times in found.items()
        }


if __name__ == "__main__":
    main()
