"""JSON as REST framework writes it, written by msgspec."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.utils.safestring import mark_safe
from rest_framework import renderers
from rest_framework.exceptions import ErrorDetail

from accounts.models import Visibility
from accounts.serializers import RegistrationSerializer
from api.rendering import JSONRenderer
from notifications.serializers import NotificationFilterSerializer

NUMBER = UUID("01977552-0900-7000-8000-000000004e20")


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5, 678900, UTC),
        datetime(2026, 1, 2, tzinfo=UTC),
        NUMBER,
        Visibility.PUBLIC,
        ErrorDetail("This is not valid.", "invalid"),
        mark_safe("<b>"),
        {"text": 'Umlauts ä, "quotes"\n', "none": None, "numbers": [1, 2.5, True]},
        {Visibility.PUBLIC: (1, 2)},
        RegistrationSerializer({"username": "alice", "email": "a@example.org"}).data,
        NotificationFilterSerializer([{"unread": True}], many=True).data,
    ],
)
def test_json_is_what_rest_framework_writes(value: Any) -> None:
    data = {"value": value}

    assert JSONRenderer().render(data) == renderers.JSONRenderer().render(data)


def test_nothing_is_written_of_nothing() -> None:
    assert JSONRenderer().render(None) == b""


def test_a_client_may_ask_for_indentation() -> None:
    assert JSONRenderer().render({"a": 1}, "application/json; indent=2") == b'{\n  "a": 1\n}'
