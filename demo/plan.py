"""The demo's plan of follows and pages, from a fixed seed so that each run does the same work."""

from __future__ import annotations

import random
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import networkx

PEOPLE = 300
SEED = 2026
URLS = Path(__file__).parent / "data" / "urls.txt"
BULK_SIZE = 50
# Percentages of pages: added in bulk, saved by a second reader too, added twice by one reader.
IN_BULK, SAVED_BY_ANOTHER, ADDED_TWICE = 60, 10, 5
GATHERERS, TIDY = 30, 20


@dataclass(frozen=True)
class Plan:
    """The demo's work, by usernames.

    `follows` has (follower, followed, notify); `singles` and `repeats` have (curator, url), `bulks`
    (curator, urls). `gatherers` create a collection of the newest cards. `tidy` has (follower,
    followed): the follower hides their newest card, removes the one before it, and unfollows.
    """

    people: list[str]
    follows: list[tuple[str, str, bool]]
    singles: list[tuple[str, str]]
    bulks: list[tuple[str, list[str]]] = field(default_factory=list)
    repeats: list[tuple[str, str]] = field(default_factory=list)
    gatherers: list[str] = field(default_factory=list)
    tidy: list[tuple[str, str]] = field(default_factory=list)


def draw() -> Plan:
    """Return the plan, with new usernames in each run, since the data of earlier runs stays."""
    chance = random.Random(SEED)
    run = secrets.token_hex(3)
    people = [f"reader-{number:03}-{run}" for number in range(1, PEOPLE + 1)]
    graph = networkx.scale_free_graph(PEOPLE, seed=SEED)
    follows = [
        (people[follower], people[followed], chance.random() < 0.5)
        for follower, followed in sorted(set(graph.edges()))
        if follower != followed
    ]
    singles, in_bulk, repeats = [], defaultdict(list), []
    for url in URLS.read_text(encoding="utf-8").splitlines():
        curator, another = chance.sample(people, 2)
        if chance.randrange(100) < IN_BULK:
            in_bulk[people[chance.randrange(30)]].append(url)
        else:
            singles.append((curator, url))
            if chance.randrange(100) < ADDED_TWICE:
                repeats.append((curator, url))
        if chance.randrange(100) < SAVED_BY_ANOTHER:
            singles.append((another, url))
    gatherers = chance.sample(people, GATHERERS)
    tidy = [(follower, followed) for follower, followed, _ in chance.sample(follows, TIDY)]
    return Plan(people, follows, singles, list(_in_steps(in_bulk)), repeats, gatherers, tidy)


def _in_steps(in_bulk: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Split each curator's pages into bulk requests of at most BULK_SIZE."""
    return [
        (curator, urls[start : start + BULK_SIZE])
        for curator, urls in in_bulk.items()
        for start in range(0, len(urls), BULK_SIZE)
    ]
