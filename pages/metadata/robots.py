"""Obey each site's robots.txt (RFC 9309): fetched once a day per site, for all processes."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import ada_url
from django.utils import timezone
from protego import Protego

from eventbook import Later, RateLimit
from eventbook.database import execute
from outside.errors import FetchFailed
from outside.fetcher import Limits, fetch
from pages.models import Robots

AGENT = "Commonplace"
MAX_AGE = timedelta(days=1)
# RFC 9309 requires a parser to read at least 500 KiB.
LIMITS = Limits(seconds=8, size=500 * 1024, cuts=True)
MIN_DELAY = 1  # second, which the queue leaves between visits to a site anyway
MAX_DELAY = 60  # seconds; with a longer delay, pages of that site could wait for days
# The spellings that Protego accepts, and the name.
AGENT_LINE = re.compile(r"^(\s*user(?:-|\s+)?agent\s*[:\s]\s*)([^#\s][^#]*)", re.IGNORECASE)
# An older robots.txt never overwrites a newer one.
STORE = """
    INSERT INTO pages_robots (origin, rules, fetched_at) VALUES (%s, %s, %s)
    ON CONFLICT (origin) DO UPDATE SET rules = EXCLUDED.rules, fetched_at = EXCLUDED.fetched_at
    WHERE pages_robots.fetched_at < EXCLUDED.fetched_at
"""


class Disallowed(FetchFailed):
    """The site's robots.txt does not allow fetching this page."""

    code = "robots"
    lasting = True


def require_allowed(url: str, *, visited: set[str]) -> None:
    """Raise Disallowed if the site's robots.txt forbids fetching a page.

    Raise FetchFailed if robots.txt cannot be had now: no response, or a server error. Raise Later
    if the site wants more time between visits (`Crawl-delay`). `visited` are the sites that this
    fetch has visited already; a redirect within them is no new visit. The page's site is added.
    """
    origin = ada_url.URL(url).origin
    rules = Protego.parse(_without_other_agents(rules_of(origin)))
    if not rules.can_fetch(url, AGENT):
        raise Disallowed("The site's robots.txt does not allow fetching this page.")
    if origin not in visited:
        visited.add(origin)
        _require_crawl_delay(origin, rules.crawl_delay(AGENT) or 0)


def _without_other_agents(rules: str) -> str:
    """Return a robots.txt in which all agents (crawlers) but ours have the same name, `-`.

    Protego copies each rule for each agent of its group: with many of both, memory would run out.
    """
    return "\n".join(AGENT_LINE.sub(_agent_line, line) for line in rules.splitlines())


def _agent_line(line: re.Match[str]) -> str:
    # Protego ignores asterisks, and compares the beginning of our name.
    name = line[2].strip().lower().replace("*", "")
    return line[1] + ((name or "*") if AGENT.lower().startswith(name) else "-")


def _require_crawl_delay(origin: str, delay: float) -> None:
    """Raise Later unless `delay` seconds have passed since any worker's last visit to a site."""
    seconds = math.ceil(min(delay, MAX_DELAY))
    if seconds <= MIN_DELAY:
        return
    if wait := RateLimit(f"crawl-delay {origin}", 1, seconds).seconds_to_turn():
        raise Later(wait, f"The site's robots.txt wants {seconds} s between visits.")


def rules_of(origin: str) -> str:
    """Return a site's robots.txt, at most a day old; an empty string if it has none."""
    known = Robots.objects.filter(origin=origin, fetched_at__gt=timezone.now() - MAX_AGE).first()
    if known is not None:
        return known.rules
    began = timezone.now()
    rules = _fetched(origin)
    execute(STORE, [origin, rules, began])
    return rules


def _fetched(origin: str) -> str:
    """Fetch a robots.txt; return an empty string if the site has none; raise FetchFailed."""
    try:
        content = fetch(f"{origin}/robots.txt", limits=LIMITS).content
    except FetchFailed as error:
        # A robots.txt that can never be fetched counts as none (RFC 9309, 2.3.1.3).
        if not error.lasting:
            raise
        return ""
    return content.decode("utf-8", "replace").replace("\x00", "")
