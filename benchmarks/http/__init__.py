"""Compare the HTTP API with its peers: writing, bulk writing, reading, and without a broker.

The systems take turns, so that other load on the machine affects all of them. After each
measurement, database and broker are checked: each successful response must have had its effects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import psycopg

from benchmarks.http import library, outages, reads, writes
from benchmarks.http.lengths import FULL, SHORT
from benchmarks.http.sites import Commonplace, Drf, Site
from stack.embedded import Servers

__all__ = ["measure"]

Figures = dict[str, list[dict[str, Any]]]
AnySite = TypeVar("AnySite", bound=Site)


def measure(
    servers: Servers, session: psycopg.Connection, *, rounds: int, short: bool
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return {scenario: {system: [the figures of each round]}}.

    Delete all cards and people. The session must be in autocommit mode, and the Node.js peers must
    be installed. Raise WrongRows if a system did not do what it responded.
    """
    lengths = SHORT if short else FULL
    found: defaultdict[str, Figures] = defaultdict(lambda: defaultdict(list))
    tokens = library.make_writers(session)
    with ExitStack() as stack:
        faster = writes.faster_fastify(servers, session, tokens, lengths)
        fastify = stack.enter_context(running(faster))
        ours = stack.enter_context(running(Commonplace(servers, session)))
        sites = [ours, fastify, stack.enter_context(running(Drf(servers, session)))]
        for _ in range(rounds):
            for site in sites:
                _note(found, "post", site.name, writes.post(site, tokens, lengths))
            _note(found, "bulk", ours.name, writes.post_in_bulk(ours, tokens, lengths))
        reader = library.make_reader(session, lengths.library)
        for _ in range(rounds):
            for scenario in reads.SCENARIOS:
                for site in sites:
                    _note(found, scenario, site.name, reads.read(site, scenario, reader, lengths))
    tokens = library.make_writers(session)
    library.forget_cards(servers, session)
    with running(outages.Stack(servers, session)) as whole:
        # A warm-up that is not counted: the first requests are slower.
        outages.post(whole, "normal", tokens, SHORT)
        for number in range(rounds):
            for state in outages.in_turn(number):
                figures = outages.post(whole, state, tokens, lengths)
                _note(found, "post_without_broker", state, figures)
    return {scenario: dict(systems) for scenario, systems in found.items()}


@contextmanager
def running(site: AnySite) -> Iterator[AnySite]:
    """Run a site during the block."""
    try:
        site.start()
        yield site
    finally:
        site.stop()


def _note(found: dict[str, Figures], scenario: str, system: str, figures: dict[str, Any]) -> None:
    found[scenario][system].append(figures)
    print(f"{scenario:20} {system:12}", figures, flush=True)
