"""`python -m demo`: run the demo against a running installation, and verify every delivery.

BASE_URL, DATABASE_URL and REDIS_URL in the environment name the installation.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import django
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402  the settings come first

from demo import plan, proof, report  # noqa: E402
from demo.client import Client, Refused  # noqa: E402
from eventbook.operate import queue_status  # noqa: E402

THREADS = 8
DRAIN_SECONDS = 120.0
S = TypeVar("S")
T = TypeVar("T")


class NotDrained(Exception):
    """Events or deliveries were still open after DRAIN_SECONDS."""


def main() -> int:
    """Run the demo and return the exit code: 0 if every event was delivered exactly once."""
    console = Console()
    work = plan.draw()
    client = Client(os.environ.get("BASE_URL", "http://127.0.0.1:8000"), connections=THREADS)
    began, since = time.monotonic(), proof.now()
    try:
        with progress_bars(console) as bars, ThreadPoolExecutor(THREADS) as pool:
            tokens = run(work, client, bars, pool)
            wait_until_drained(bars, since)
    except (Refused, NotDrained) as error:
        console.print(f"[red]The demo stopped:[/] {error}")
        return 1
    seconds = (proof.last_done(since) - since).total_seconds()
    console.print(f"Done in {time.monotonic() - began:.0f} s.\n")
    return show(console, client, since, tokens, seconds)


def progress_bars(console: Console) -> Progress:
    """Return the progress bars."""
    return Progress(
        TextColumn("{task.description:<29}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def run(
    work: plan.Plan, client: Client, bars: Progress, pool: ThreadPoolExecutor
) -> dict[str, str]:
    """Do the work through the API and return each reader's token, by username."""
    password = secrets.token_urlsafe(12)

    def each(title: str, do: Callable[[S], T], items: Sequence[S]) -> list[T]:
        return list(bars.track(pool.map(do, items), total=len(items), description=title))

    def add(saved: plan.Saved) -> bool:
        return client.add(tokens[saved.curator], saved.url)

    issued = each("readers register", lambda name: client.register(name, password), work.people)
    tokens = dict(zip(work.people, issued, strict=True))
    each(
        "readers follow readers",
        lambda pair: client.follow(tokens[pair.follower], pair.followed, notify=pair.notify),
        work.follows,
    )
    each("pages, one by one", add, work.singles)
    each(
        "pages, fifty at a time",
        lambda saved: client.add_many(tokens[saved.curator], saved.urls),
        work.bulks,
    )
    if any(each("pages, a second time", add, work.repeats)):
        raise Refused("A page that was added twice created a second card.")
    latest = [card["id"] for card in client.page(tokens[work.people[0]], "feeds/global/")]
    each(
        "collections of others' pages",
        lambda name: client.gather(tokens[name], "To read", latest[:5]),
        work.gatherers,
    )
    each(
        "readers who change their mind",
        lambda follow: client.change_mind(tokens[follow.follower], follow.followed),
        work.changes_of_mind,
    )
    return tokens


def wait_until_drained(bars: Progress, since: datetime) -> None:
    """Wait until no event or delivery of the installation is open; a dead delivery isn't.

    Raise NotDrained after DRAIN_SECONDS.
    """
    bar = bars.add_task("deliveries", total=None)
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        done, still_open = proof.progress(since)
        bars.update(bar, completed=done, total=done + still_open)
        if not still_open:
            return
        time.sleep(0.05)
    left = f"{still_open} events and deliveries were still open"
    raise NotDrained(f"{left} after {DRAIN_SECONDS:.0f} s.")


def show(
    console: Console, client: Client, since: datetime, tokens: dict[str, str], seconds: float
) -> int:
    """Print the figures, write them to demo.json, and return the exit code."""
    proofs, timelines = proof.by_handler(since), proof.timelines(since)
    statuses = queue_status(since=since)
    report.queues(console, statuses, proofs)
    report.proof(console, proofs, timelines)
    name, notifications = busy_reader(client, tokens)
    token = tokens[name]
    report.reader(
        console,
        name,
        notifications=notifications,
        feed=client.page(token, "feeds/following/"),
        unread=unread_count(client, token),
    )
    figures = {
        "events": sum(count for _, count in proof.events_by_type(since)),
        "handlers": len(proofs),
        "deliveries_done": sum(row.done for row in proofs),
        "deliveries_dead": sum(row.dead for row in proofs),
        "seconds": round(seconds, 2),
        "queues": {
            status.queue: {"p50_ms": status.p50_ms, "p99_ms": status.p99_ms}
            for status in statuses
            if status.done
        },
    }
    (settings.DATA_DIR / "demo.json").write_text(
        json.dumps(figures, indent=2) + "\n", encoding="utf-8"
    )
    good = timelines.hold and all(row.holds for row in proofs)
    console.print("[green]Nothing lost, nothing doubled.[/]" if good else "[red]NOT PROVEN[/]")
    return 0 if good else 1


def busy_reader(client: Client, tokens: dict[str, str]) -> tuple[str, list[Any]]:
    """Return the name and the notifications of the reader with the most kinds of them.

    Only the 30 readers with the most unread notifications are compared.
    """
    busiest = sorted(tokens, key=lambda name: -unread_count(client, tokens[name]))[:30]
    pages = {name: client.page(tokens[name], "notifications/?page_size=200") for name in busiest}
    return max(pages.items(), key=lambda page: len({item["kind"] for item in page[1]}))


def unread_count(client: Client, token: str) -> int:
    """Return how many unread notifications a reader has."""
    path = "notifications/unread-count/"
    count: int = client.call("GET", path, token=token, expect={200})["count"]
    return count


if __name__ == "__main__":
    sys.exit(main())
