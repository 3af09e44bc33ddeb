"""Subscribe users to web feeds, one at a time or from an imported list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import Jsonb

from accounts.models import User, Visibility
from cards.limits import LINK_LENGTH, TITLE_LENGTH
from eventbook.database import execute, new_id
from imports.files.items import Item, Problem
from imports.jobs import quotas, statements
from imports.jobs.drafts import collection_names_of
from imports.models import FeedSubscription, WebFeed
from outside.addresses import normalized
from outside.errors import Refused

# The options of an import that also apply to later entries of its feeds.
FEED_OPTIONS = ("collection", "visibility")
REFRESH_INTERVAL = timedelta(hours=1)
# The shortest pause between fetches of a feed, however many users subscribe to it.
MIN_FETCH_INTERVAL = timedelta(minutes=10)
TOO_MANY = "You subscribe to {used} of at most {limit} feeds. Unsubscribe from some first."
TOO_LONG = f"The address is longer than {LINK_LENGTH} characters."
# The schemes with which browsers and feed readers mark the address of a feed.
FEED_SCHEME = re.compile(r"(?:feed|rss|itpc|pcast):(?://)?(?=(https?://)?)", re.IGNORECASE)


@transaction.atomic
def subscribe(
    owner: User,
    feeds: Sequence[Item],
    *,
    options: Mapping[str, Any],
    collections: Mapping[str, UUID] = MappingProxyType({}),
    caught_up: bool = False,
) -> tuple[int, list[Problem]]:
    """Subscribe to feeds; return the number of new subscriptions, and the refused feeds.

    The cards of a feed join the collection in `options`, else the one of its folder, from
    `collections` (ids by name). `caught_up` means that the feeds' current entries have been
    imported already. Calls for one user run one after the other: two at once could add the same
    feed with http and https, or both use the last free place.
    """
    wanted, refused = check_feeds(feeds)
    quotas.use(owner)  # without amounts, only a lock
    own = FeedSubscription.objects.filter(owner=owner)
    same = own.filter(feed__url__in=_with_schemes(wanted))
    for known in same.values_list("feed__url", flat=True):
        wanted.pop(_without_scheme(known), None)
    used, limit = own.count(), settings.SUBSCRIPTIONS_PER_PERSON
    room = max(0, limit - used)
    reason = TOO_MANY.format(used=used, limit=limit)
    refused += [item.problem("too_many", reason) for item in list(wanted.values())[room:]]
    new = dict(list(wanted.items())[:room])
    known_urls = WebFeed.objects.filter(url__in=_with_schemes(new)).values_list("url", flat=True)
    known_as = {_without_scheme(url): url for url in known_urls}
    parameters: dict[str, Any] = {
        "owner": owner.pk,
        "ids": [new_id() for _ in new],
        "urls": [known_as.get(bare, item.feed) for bare, item in new.items()],
        "titles": [item.title[:TITLE_LENGTH] for item in new.values()],
        "options": [Jsonb(_options(item, options, collections)) for item in new.values()],
        "caught_up": caught_up,
        "first": REFRESH_INTERVAL if caught_up else timedelta(0),
        "wait": MIN_FETCH_INTERVAL,
    }
    return execute(statements.SUBSCRIBE, parameters, prepare=False).count, refused


def _options(
    item: Item, options: Mapping[str, Any], collections: Mapping[str, UUID]
) -> dict[str, Any]:
    """Return the options for the cards of a feed.

    Their collection is the one in `options`, else that of the first of the feed's folders in
    `collections`. The cards of a feed that its file marks as private are private.
    """
    kept = {name: options[name] for name in FEED_OPTIONS if options.get(name)}
    folder = next(
        (collections[name] for name in collection_names_of(item) if name in collections), None
    )
    if folder and "collection" not in kept:
        kept["collection"] = str(folder)
    return kept | {"visibility": Visibility.PRIVATE} if item.private else kept


def check_feeds(feeds: Sequence[Item]) -> tuple[dict[str, Item], list[Problem]]:
    """Return feeds by their addresses without scheme, and problems for refused addresses."""
    wanted: dict[str, Item] = {}
    refused = []
    for item in feeds:
        try:
            url = normalized(address_of(item.feed))
        except Refused as reason:
            refused.append(item.problem("invalid_url", str(reason)))
            continue
        if len(url) > LINK_LENGTH:
            refused.append(item.problem("invalid_url", TOO_LONG))
        else:
            wanted.setdefault(_without_scheme(url), replace(item, feed=url))
    return wanted, refused


def address_of(feed: str) -> str:
    """Return the web address of a feed, also if written as `feed://…` or `feed:https://…`."""
    found = FEED_SCHEME.match(feed)
    if not found:
        return feed
    return feed[found.end() :] if found.group(1) else f"http://{feed[found.end() :]}"


def subscription_of(owner: User, feed: str) -> FeedSubscription:
    """Return a user's subscription to a feed, whether stored with http or https."""
    found = FeedSubscription.objects.select_related("feed", "owner").order_by("id")
    urls = _with_schemes([_without_scheme(normalized(address_of(feed)))])
    return found.filter(owner=owner, feed__url__in=urls)[0]


def _without_scheme(url: str) -> str:
    """Return an address without its scheme: with http and with https, it is the same feed."""
    return url.partition("://")[2]


def _with_schemes(bare_urls: Iterable[str]) -> list[str]:
    return [f"{scheme}://{bare}" for bare in bare_urls for scheme in ("http", "https")]
