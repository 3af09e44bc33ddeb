from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Follow, User
from accounts.queries import follower_ranges
from eventbook import KeyRange
from eventbook.models import Event
from tests.library import followers_of

Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db
ALICE = "/api/v1/users/alice/"


def event_types() -> list[str]:
    types = ["user.followed", "user.unfollowed"]
    return list(Event.objects.filter(type__in=types).order_by("id").values_list("type", flat=True))


def test_following_is_told_once(alice: User, bob: User, client_of: Client) -> None:
    client = client_of(bob)

    first = client.put(f"{ALICE}follow/", {}, format="json")
    second = client.put(f"{ALICE}follow/")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == {"username": "alice", "notify": False}
    assert Follow.objects.count() == 1
    assert event_types() == ["user.followed"]


def test_notify_can_be_changed_without_following_again(
    alice: User, bob: User, client_of: Client
) -> None:
    client = client_of(bob)
    client.put(f"{ALICE}follow/", {"notify": True}, format="json")

    kept = client.put(f"{ALICE}follow/").json()
    changed = client.put(f"{ALICE}follow/", {"notify": False}, format="json").json()

    assert (kept["notify"], changed["notify"]) == (True, False)
    assert Follow.objects.get().notify is False
    assert event_types() == ["user.followed"]


def test_unfollowing_is_told_once(alice: User, bob: User, client_of: Client) -> None:
    client = client_of(bob)
    client.put(f"{ALICE}follow/")

    codes = [client.delete(f"{ALICE}follow/").status_code for _ in range(2)]

    assert codes == [204, 204]
    assert Follow.objects.count() == 0
    assert event_types() == ["user.followed", "user.unfollowed"]


def test_nobody_follows_oneself(alice: User, client_of: Client) -> None:
    response = client_of(alice).put(f"{ALICE}follow/")

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "self_follow"
    assert event_types() == []


@pytest.mark.parametrize("name", ["nobody", "%00", "a b", "..%2f", "a" * 151, "é"])
def test_people_who_do_not_exist_are_404(alice: User, client_of: Client, name: str) -> None:
    client = client_of(alice)

    for path in ("", "follow/", "followers/", "following/"):
        method = client.put if path == "follow/" else client.get
        response = method(f"/api/v1/users/{name}/{path}")
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("body", [[], "x", {"notify": "perhaps"}, {"notify": None}, {"notify": {}}])
def test_a_follow_that_cannot_be_read_is_400(
    alice: User, bob: User, client_of: Client, body: Any
) -> None:
    response = client_of(bob).put(f"{ALICE}follow/", body, format="json")

    assert response.status_code == 400


@pytest.mark.django_db(transaction=True)
def test_following_from_many_requests_at_once_is_told_once(alice: User, bob: User) -> None:
    def follow(_: int) -> bool:
        try:
            return services.follow(follower=bob, followed=alice)[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(follow, range(16)))

    assert created.count(True) == 1
    assert event_types() == ["user.followed"]


def test_a_profile_tells_of_follows(
    alice: User, bob: User, charlie: User, client_of: Client, django_assert_num_queries: Any
) -> None:
    services.follow(follower=bob, followed=alice)
    client, stranger = client_of(bob), client_of(charlie)

    with django_assert_num_queries(2):
        seen = client.get("/api/v1/users/Alice/").json()

    assert seen["followers_count"] == 1
    assert seen["following_count"] == 0
    assert seen["followed_by_me"] is True
    assert "email" not in seen
    assert stranger.get(ALICE).json()["followed_by_me"] is False


def test_the_lists_of_follows_are_read_page_by_page(
    alice: User, bob: User, charlie: User, client_of: Client, django_assert_num_queries: Any
) -> None:
    services.follow(follower=bob, followed=alice)
    services.follow(follower=charlie, followed=alice)
    client = client_of(alice)

    with django_assert_num_queries(3):
        page = client.get(f"{ALICE}followers/?page_size=1").json()
    rest = client.get(page["next"]).json()

    assert [each["username"] for each in page["results"]] == ["charlie"]
    assert [each["username"] for each in rest["results"]] == ["bob"]
    assert rest["next"] is None
    following = client.get("/api/v1/users/bob/following/").json()["results"]
    assert [each["username"] for each in following] == ["alice"]


def test_ones_own_profile_can_be_changed(alice: User, client_of: Client) -> None:
    client = client_of(alice)

    body = {"display_name": "Alice", "bio": "Reads"}
    changed = client.patch("/api/v1/users/me/", body, format="json").json()

    assert (changed["display_name"], changed["bio"]) == ("Alice", "Reads")
    assert (changed["username"], changed["email"]) == ("alice", "alice@example.org")
    too_long = client.patch("/api/v1/users/me/", {"bio": "x" * 1001}, format="json")
    assert too_long.status_code == 400


def test_ranges_cover_every_key_and_share_the_followers_out(alice: User) -> None:
    people = followers_of(alice, 5 * settings.FAN_OUT_RANGE + 1)

    ranges = follower_ranges({alice.pk})[alice.pk]

    assert (ranges[0].first, ranges[-1].after) == KeyRange()
    assert all(left.after == right.first for left, right in pairwise(ranges))
    shares = [sum(keys.first <= p.pk < keys.after for p in people) for keys in ranges]
    assert shares == [settings.FAN_OUT_RANGE] * 5 + [1]


def test_who_has_few_followers_is_not_split(alice: User) -> None:
    followers_of(alice, settings.FAN_OUT_RANGE)

    assert follower_ranges({alice.pk}) == {}
