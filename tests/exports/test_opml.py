"""OPML that goes out is XML, whatever is in the cards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from tests.library import save

pytestmark = pytest.mark.django_db


def test_characters_that_xml_cannot_hold_are_left_out(
    alice: User, client_of: Callable[[Any], APIClient]
) -> None:
    save(alice, title="a\x01b\x0bc\ufffed\te", text="one\ntwo\x1f")

    file: Any = client_of(alice).get("/api/v1/exports/", {"format": "opml"})
    (outline,) = ElementTree.fromstring(b"".join(file.streaming_content)).iter("outline")

    assert (outline.get("text"), outline.get("description")) == ("abcd\te", "one\ntwo")
