"""Measure adding cards: one per request, and a thousand per request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks.http import lengths as of
from benchmarks.http.lengths import Lengths
from benchmarks.http.library import forget_cards
from benchmarks.http.load import Load, result, send
from benchmarks.http.sites import Fastify, Site
from benchmarks.work import WrongRows, count
from stack.embedded import Servers

PATH = "/api/v1/cards/"
BULK_PATH = "/api/v1/cards/bulk/"


def post(site: Site, tokens: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """Measure adding cards one by one, as fast as the site can."""
    load = Load(
        path=PATH, tokens=tokens, connections=of.WRITING_CONNECTIONS, seconds=lengths.busy,
        status=201, body="card",
    )  # fmt: skip
    return result(_measured(site, load, lengths))


def post_in_bulk(site: Site, tokens: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """Measure adding a thousand cards per request; the rate is in cards per second."""
    load = Load(
        path=BULK_PATH, tokens=tokens, connections=of.BULK_CONNECTIONS, seconds=lengths.busy,
        status=201, body="cards", cards=of.CARDS_PER_REQUEST,
    )  # fmt: skip
    found = _measured(site, load, lengths)
    return result(found, rate=found["rate"] * of.CARDS_PER_REQUEST)


def faster_fastify(
    servers: Servers, session: psycopg.Connection, tokens: Sequence[str], lengths: Lengths
) -> Fastify:
    """Return Fastify with one or two processes, whichever is faster here."""
    rates: dict[int, float] = {}
    for processes in (1, 2):
        site = Fastify(servers, session, processes)
        try:
            site.start()
            rates[processes] = post(site, tokens, lengths)["rate"]
        finally:
            site.stop()
    print("fastify, by processes:", rates, flush=True)
    return Fastify(servers, session, max(rates, key=lambda processes: rates[processes]))


def _measured(site: Site, load: Load, lengths: Lengths) -> dict[str, Any]:
    """Measure a load after a warm-up, in a database without cards; check the effects."""
    forget_cards(site.servers, site.session)
    warm = send(site, load.lasting(lengths.warm))
    found = send(site, load)
    _check(site, load.cards * (warm["answered"] + found["answered"]))
    return found


def _check(site: Site, cards: int) -> None:
    """Raise WrongRows unless this many cards exist and were handed to each queue."""
    counts = {"the library": count(site.session, "cards_card")} | site.enqueued()
    for what, number in counts.items():
        if number != cards:
            raise WrongRows(
                f"{site.name}: {cards} cards were added, but there are {number} in {what}"
            )
