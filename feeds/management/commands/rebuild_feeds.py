from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Follow, User
from accounts.queries import user_named
from feeds.models import Timeline
from feeds.services import rebuild_timeline


class Command(BaseCommand):
    help = "Rebuild timelines (stored following feeds) from cards and follows; safe at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="NAME", help="the timeline of one user")
        whose.add_argument(
            "--all",
            action="store_true",
            help="every timeline, except evicted ones, which nobody reads",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild one user's timeline, or those of all followers that are not evicted."""
        if name := options["user"]:
            self.rebuild([_id_of(name)], total=1)
        else:
            evicted = Timeline.objects.filter(evicted_at__isnull=False).values("owner_id")
            followers = Follow.objects.order_by("follower_id").values_list("follower_id", flat=True)
            owners = followers.exclude(follower_id__in=evicted).distinct()
            self.rebuild(owners.iterator(), total=owners.count())

    def rebuild(self, owner_ids: Iterator[int] | list[int], *, total: int) -> None:
        """Rebuild the timelines one by one, and print the progress."""
        done = 0
        for done, owner_id in enumerate(owner_ids, start=1):
            rebuild_timeline(owner_id=owner_id)
            self.stdout.write(f"\rRebuilt {done} of {total} timelines", ending="")
            self.stdout.flush()
        self.stdout.write(f"\rRebuilt {done} of {total} timelines")


def _id_of(username: str) -> int:
    try:
        return user_named(username).get().pk
    except User.DoesNotExist:
        raise CommandError(f"There is no user called {username!r}.") from None
