"""Measure reading a feed and notifications, for a user who follows very many people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.http import lengths as of
from benchmarks.http.lengths import Lengths
from benchmarks.http.load import Load, result, send
from benchmarks.http.sites import Site
from benchmarks.work import WrongRows

PAGE = 50
PATHS = {
    "read_following": "/api/v1/feeds/following/",
    "read_notifications": "/api/v1/notifications/",
}
SCENARIOS = tuple(PATHS)
EXPECTED = {
    "read_following": """
        SELECT card.id FROM cards_card card
        JOIN accounts_follow follow ON follow.followed_id = card.curator_id
        WHERE follow.follower_id = 1 AND card.visibility = 'PUBLIC'
        ORDER BY card.id DESC LIMIT %s
    """,
    "read_notifications": """
        SELECT event_id FROM notifications_notification WHERE recipient_id = 1
        ORDER BY event_id DESC LIMIT %s
    """,
}


def read(site: Site, scenario: str, tokens: Sequence[str], lengths: Lengths) -> dict[str, Any]:
    """Measure reading one page repeatedly: latency at a low rate, then the greatest rate."""
    _check(site, scenario, tokens)
    busy = Load(
        path=PATHS[scenario], tokens=tokens, connections=of.READING_CONNECTIONS,
        seconds=lengths.busy,
    )  # fmt: skip
    send(site, busy.lasting(lengths.warm))
    light = send(site, replace(busy, rate=of.READING_RATE, seconds=lengths.light))
    found = result(light, rate=send(site, busy)["rate"])
    _check(site, scenario, tokens)
    return found


def _check(site: Site, scenario: str, tokens: Sequence[str]) -> None:
    """Raise WrongRows unless the page has the newest rows, in order."""
    request = Request(
        f"http://127.0.0.1:{site.port}{PATHS[scenario]}",
        headers={"Authorization": f"Token {tokens[0]}"},
    )
    with urlopen(request, timeout=30) as answer:
        results = json.load(answer)["results"]
    found = [row.get("id") or row["event_id"] for row in results]
    expected = [str(id) for (id,) in site.session.execute(EXPECTED[scenario], [PAGE])]
    if found != expected or len(found) != PAGE:
        raise WrongRows(f"{site.name} responds to {scenario} with wrong rows")
