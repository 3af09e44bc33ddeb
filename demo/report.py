"""The demo's report for a terminal: queues, proof, and one reader's notifications and feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo.proof import HandlerProof, TimelineProof
from eventbook.operate import QueueStatus


def queues(
    console: Console, statuses: Sequence[QueueStatus], proofs: Sequence[HandlerProof]
) -> None:
    """Print each queue's events, deliveries and latencies."""
    table = Table(title="Queues", title_justify="left")
    table.add_column("queue")
    for heading in ("events", "deliveries done", "dead", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for status in statuses:
        mine = [proof for proof in proofs if proof.queue == status.queue]
        if not mine:
            continue
        table.add_row(
            status.queue,
            str(sum({proof.event_name: proof.expected for proof in mine}.values())),
            str(sum(proof.done for proof in mine)),
            str(sum(proof.dead for proof in mine)),
            *(f"{figure:,.0f}" if figure is not None else "–" for figure in
              (status.p50_ms, status.p95_ms, status.p99_ms)),
        )  # fmt: skip
    console.print(table)
    console.print("Times run from the commit of the card to the commit of its effects.\n")


def proof(console: Console, proofs: Sequence[HandlerProof], timelines: TimelineProof) -> None:
    """Print the proof of each handler and of the timelines."""
    table = Table(title="Every event reached every handler, exactly once", title_justify="left")
    table.add_column("handler")
    for heading in ("events", "done", "dead", "doubled"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in proofs:
        mark = "[green]✓[/]" if row.holds else "[red]✗[/]"
        counts = (row.expected, row.done, row.dead, row.doubled)
        table.add_row(row.handler, *map(str, counts), mark)
    console.print(table)
    due, missing, wrong = timelines
    mark = "[green]✓[/]" if timelines.hold else "[red]✗[/]"
    console.print(f"{mark} timelines: {due} entries due, {missing} missing, {wrong} wrong\n")


def few_of_each_kind(notifications: Sequence[Any], *, few: int = 3) -> list[Any]:
    """Return the notifications without those beyond the first `few` of each kind."""
    seen: Counter[str] = Counter()
    chosen = []
    for item in notifications:
        seen[item["kind"]] += 1
        if seen[item["kind"]] <= few:
            chosen.append(item)
    return chosen


def reader(
    console: Console, name: str, *, notifications: Sequence[Any], feed: Sequence[Any], unread: int
) -> None:
    """Print one person's notifications and feed."""
    console.print(f"[bold]What {name} sees[/]")
    console.print(f"\n  [bold]Notifications[/] ({unread} unread)")
    for item in few_of_each_kind(notifications):
        dot = " " if item["read"] else "[cyan]●[/]"
        text = escape(item["text"])
        console.print(f"  {dot} {text}", overflow="ellipsis", no_wrap=True, highlight=False)
    console.print("\n  [bold]Following[/]")
    for card in feed[:8]:
        who = card["curator"]["username"]
        console.print(
            f"  [cyan]{who}[/] saved {escape(card['title'] or card['url'])}",
            overflow="ellipsis",
            no_wrap=True,
            highlight=False,
        )
    console.print()
