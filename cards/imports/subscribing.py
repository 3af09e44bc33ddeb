"""Subscriptions of feeds: made one by one or by imports, refreshed on a schedule of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.backends.postgresql.psycopg_any import Jsonb

from accounts.models import User
from cards import limits
from cards.imports import statements
from cards.imports.items import Item, Problem
from cards.imports.models import FeedSubscription
from events.ids import new_id
from events.sql import execute
from outside.addresses import checked
from outside.errors import Refused

# What of an import's options holds for all that the feed brings later.
KEPT = ("collection", "visibility")
EVERY = timedelta(hours=1)
# However many subscribe one after the other, their feed is not asked more often than this.
NEWCOMERS_WAIT = timedelta(minutes=10)
TOO_MANY = f"One person subscribes to up to {limits.SUBSCRIPTIONS} feeds; end some of yours."
TOO_LONG = f"The address is longer than {limits.LINK_LENGTH} characters."


def subscribe(
    owner: User, feeds: Sequence[Item], *, options: Mapping[str, Any], caught_up: bool = False
) -> tuple[int, list[Problem]]:
    """This subscribes to feeds, and answers how many were new, and what it refused.

    `caught_up` says that what they have now has been imported already.
    """
    wanted, refused = wanted_of(feeds)
    own = FeedSubscription.objects.filter(owner=owner)
    for known in own.filter(feed__url__in=list(wanted)).values_list("feed__url", flat=True):
        del wanted[known]
    room = limits.SUBSCRIPTIONS - own.count() if wanted else 0
    refused += [problem(item, "too_many", TOO_MANY) for item in list(wanted.values())[room:]]
    new = dict(list(wanted.items())[:room])
    parameters: dict[str, Any] = {
        "owner": owner.pk,
        "ids": [new_id() for _ in new],
        "urls": list(new),
        "titles": [item.title[: limits.TITLE_LENGTH] for item in new.values()],
        "options": Jsonb({name: options[name] for name in KEPT if options.get(name)}),
        "caught_up": caught_up,
        "first": EVERY if caught_up else timedelta(0),
        "wait": NEWCOMERS_WAIT,
    }
    return execute(statements.SUBSCRIBE, parameters, prepare=False).count, refused


def wanted_of(feeds: Sequence[Item]) -> tuple[dict[str, Item], list[Problem]]:
    """This answers feeds by the address that they are asked at, and those that never are."""
    wanted: dict[str, Item] = {}
    refused = []
    for item in feeds:
        try:
            url = checked(item.feed)
        except Refused as reason:
            refused.append(problem(item, "invalid_url", str(reason)))
            continue
        if len(url) > limits.LINK_LENGTH:
            refused.append(problem(item, "invalid_url", TOO_LONG))
        else:
            wanted.setdefault(url, item)
    return wanted, refused


def problem(item: Item, code: str, detail: str) -> Problem:
    """This answers why a feed is not subscribed to."""
    return Problem(line=item.line, code=code, detail=detail, label=item.label)
