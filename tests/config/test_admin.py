"""The lists of the admin, of all apps."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.services import follow
from cards.services import add_card, create_collection

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "accounts/user/",
        "accounts/follow/",
        "cards/card/",
        "cards/collection/",
        "cards/collectioncard/",
        "pages/url/",
        "imports/import/",
        "imports/feedsubscription/",
        "imports/webfeed/",
        "pages/metadata/",
        "pages/robots/",
        "knox/authtoken/",
    ],
)
def test_each_list_shows_finds_and_costs_few_queries(
    admin_client: Client, alice: User, bob: User, path: str, django_assert_max_num_queries: Any
) -> None:
    follow(follower=alice, followed=bob)
    collection = create_collection(owner=alice, name="Reading")
    for number in range(30):
        url = f"https://example.org/{number}"
        add_card(curator=alice, type="URL", url=url, collections=[collection.pk])

    with django_assert_max_num_queries(8):
        assert admin_client.get(f"/admin/{path}").status_code == 200
    for words in ("alice", "example.org", "01890000-0000-7000-8000-000000000000", "%00", "'"):
        assert admin_client.get(f"/admin/{path}", {"q": words}).status_code == 200
