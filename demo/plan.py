"""The demo's plan of follows and pages, from a fixed seed so that each run does the same work."""

from __future__ import annotations

import random
import secrets
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import networkx

PEOPLE = 300
SEED = 2026
URLS = Path(__file__).parent / "data" / "urls.txt"
BULK_SIZE = 50
IN_BULK = 60  # percent of the pages are added in bulk
SAVED_BY_ANOTHER = 10  # percent are saved by a second reader, too
ADDED_TWICE = 5  # percent of the pages not added in bulk are added twice by one reader
BULK_READERS = 30  # readers who add pages in bulk
GATHERERS, CHANGES_OF_MIND = 30, 20


class Follow(NamedTuple):
    """A reader follows another, with or without notifications; both by username."""

    follower: str
    followed: str
    notify: bool


class Saved(NamedTuple):
    """A reader, by username, saves a page."""

    curator: str
    url: str


class SavedInBulk(NamedTuple):
    """A reader, by username, saves many pages in one request."""

    curator: str
    urls: list[str]


@dataclass(frozen=True)
class Plan:
    """The demo's work; people are usernames.

    `repeats` are pages saved a second time. `gatherers` create a collection of the newest cards.
    The followers in `changes_of_mind` hide their newest card, remove the one before it, and
    unfollow.
    """

    people: list[str]
    follows: list[Follow]
    singles: list[Saved]
    bulks: list[SavedInBulk]
    repeats: list[Saved]
    gatherers: list[str]
    changes_of_mind: list[Follow]


def draw() -> Plan:
    """Return the plan, with new usernames in each run, since the data of earlier runs stays."""
    chance = random.Random(SEED)
    run = secrets.token_hex(3)
    people = [f"reader-{number:03}-{run}" for number in range(1, PEOPLE + 1)]
    graph = networkx.scale_free_graph(PEOPLE, seed=SEED)
    follows = [
        Follow(people[follower], people[followed], notify=chance.random() < 0.5)
        for follower, followed in sorted(set(graph.edges()))
        if follower != followed
    ]
    singles, in_bulk, repeats = [], defaultdict(list), []
    for url in URLS.read_text(encoding="utf-8").splitlines():
        curator, another = chance.sample(people, 2)
        if chance.randrange(100) < IN_BULK:
            in_bulk[people[chance.randrange(BULK_READERS)]].append(url)
        else:
            singles.append(Saved(curator, url))
            if chance.randrange(100) < ADDED_TWICE:
                repeats.append(Saved(curator, url))
        if chance.randrange(100) < SAVED_BY_ANOTHER:
            singles.append(Saved(another, url))
    gatherers = chance.sample(people, GATHERERS)
    changed = chance.sample(follows, CHANGES_OF_MIND)
    return Plan(people, follows, singles, _bulk_requests(in_bulk), repeats, gatherers, changed)


def _bulk_requests(in_bulk: dict[str, list[str]]) -> list[SavedInBulk]:
    """Split each curator's pages into bulk requests of at most BULK_SIZE."""
    return [
        SavedInBulk(curator, urls[start : start + BULK_SIZE])
        for curator, urls in in_bulk.items()
        for start in range(0, len(urls), BULK_SIZE)
    ]
