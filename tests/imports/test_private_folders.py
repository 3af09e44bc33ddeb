"""A folder that its file marks as private never becomes public, whatever its owner's default is."""

from __future__ import annotations

import json

import pytest

from accounts.models import User
from cards.models import Card, Collection
from tests.imports.conftest import ImportFile as Bring

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "long " * 50
LIST = "<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p>"
LINK = '<DT><A HREF="https://example.org/">Home</A>'


@pytest.fixture
def public(alice: User) -> User:
    """Alice, whose imported cards are public by default."""
    User.objects.update(import_visibility="PUBLIC")
    return alice


def exported(*collections: dict[str, str]) -> bytes:
    """Return an export of Commonplace with these collections only."""
    value = {"commonplace": 1, "collections": collections, "subscriptions": [], "cards": []}
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "content",
    [
        exported({"name": "My  secret", "visibility": "PRIVATE"}),
        exported(
            {"name": "Twin", "visibility": "PUBLIC"}, {"name": "Twin", "visibility": "PRIVATE"}
        ),
        exported({"name": LONG, "visibility": "PRIVATE"}),
        f'{LIST}<DT><H3 PRIVATE="1">{LONG}</H3><DL><p>{LINK}</DL><p></DL>'.encode(),
        f"url,title,collection,collection_visibility\nhttps://example.org/,Home,{LONG},PRIVATE\n".encode(),
    ],
    ids=["two spaces", "equal names", "long name", "long folder", "long cell"],
)
def test_a_collection_is_private_if_its_file_says_so(
    public: User, bring: Bring, content: bytes
) -> None:
    done = bring(public, content)

    assert (done["status"], done["counts"]["failed"]) == ("done", 0)
    assert Collection.objects.get().visibility == "PRIVATE"


def test_bookmarks_in_a_private_folder_of_json_are_private(public: User, bring: Bring) -> None:
    inner = {"title": "Inner", "children": [{"title": "One", "url": "https://example.org/1"}]}
    outer = {"title": "Outer", "private": True, "children": [inner]}
    other = {"title": "Two", "url": "https://example.org/2"}

    bring(public, json.dumps({"bookmarks": [outer, other]}).encode())

    found = dict(Card.objects.values_list("title", "visibility"))
    assert found == {"One": "PRIVATE", "Two": "PUBLIC"}
    assert Collection.objects.get().visibility == "PRIVATE"
