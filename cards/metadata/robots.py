"""What sites let machines fetch (RFC 9309): asked once a day for each, for all processes."""

from __future__ import annotations

import math
from datetime import timedelta

import ada_url
from django.db import connection
from django.utils import timezone
from protego import Protego

from cards.models import Robots
from events.execution import Later
from events.limits import Limit, Refused, acquire
from outside.errors import Answered, FetchFailed
from outside.fetcher import Limits, fetch

AGENT = "Commonplace"
FRESH = timedelta(days=1)
PATIENCE = Limits(seconds=8, size=1024 * 1024)
# The queue leaves a second between visits to a site anyway; a site that wants more than a minute
# would have its pages wait for days.
LEAST_DELAY, LONGEST_DELAY = 1, 60
KEPT = 500 * 1024  # characters: the least that RFC 9309 wants to be read

# An older answer never stands in the place of a newer one.
KEEP = """
    INSERT INTO cards_robots (origin, rules, fetched_at) VALUES (%s, %s, %s)
    ON CONFLICT (origin) DO UPDATE SET rules = EXCLUDED.rules, fetched_at = EXCLUDED.fetched_at
    WHERE cards_robots.fetched_at < EXCLUDED.fetched_at
"""


class Disallowed(FetchFailed):
    """The site asks machines not to fetch this page."""

    code = "robots"
    lasting = True


def require_allowed(url: str, *, visited: set[str]) -> None:
    """Raise Disallowed for a page that its site keeps machines from.

    It raises FetchFailed when that cannot be known now: the site doesn't answer, or with an error
    of its own. It raises Later when the site wants more time between visits (`Crawl-delay`);
    `visited` are the sites of this visit, which may redirect within themselves.
    """
    origin = ada_url.URL(url).origin
    rules = Protego.parse(rules_of(origin))
    if not rules.can_fetch(url, AGENT):
        raise Disallowed("The site asks machines not to fetch this page (robots.txt).")
    if origin not in visited:
        visited.add(origin)
        _take_turn(origin, rules.crawl_delay(AGENT) or 0)


def _take_turn(origin: str, delay: float) -> None:
    """Raise Later unless a site's last visit, by whichever worker, is long enough ago."""
    seconds = math.ceil(min(delay, LONGEST_DELAY))
    if seconds <= LEAST_DELAY:
        return
    limit = Limit(f"crawl-delay {origin}", 1, seconds)
    turn = acquire([limit], longest=seconds, waited=True)
    if isinstance(turn, Refused):
        raise Later(turn.seconds, f"The site wants {seconds} s between visits (robots.txt).")


def rules_of(origin: str) -> str:
    """Return a site's robots.txt, a day old at most; empty if there is none."""
    known = Robots.objects.filter(origin=origin, fetched_at__gt=timezone.now() - FRESH).first()
    if known is not None:
        return known.rules
    began = timezone.now()
    rules = _fetched(origin)
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [origin, rules, began])
    return rules


def _fetched(origin: str) -> str:
    try:
        content = fetch(f"{origin}/robots.txt", limits=PATIENCE).content
    except Answered as error:
        if not 400 <= error.status < 500 or error.status == 429:
            raise
        return ""
    except FetchFailed as error:
        # One that cannot be had at all is none, as in RFC 9309, 2.3.1.3.
        if not error.lasting:
            raise
        return ""
    return content.decode("utf-8", "replace").replace("\x00", "")[:KEPT]
