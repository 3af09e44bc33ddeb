"""What staff see of imports, and can do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from imports import services
from imports.models import Import, ImportProblem

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", "admin@example.org", "secret"))
    return client


def test_an_import_shows_its_problems_and_cannot_be_changed(staff: Client, alice: User) -> None:
    job = services.request_import(owner=alice, content=b"x", source="list.txt")
    other = services.request_import(owner=alice, content=b"x")
    for line, origin in ((7, job), (8, other)):
        ImportProblem.objects.create(origin=origin, line=line, code="x", detail=f"Bad line {line}.")

    page = staff.get(f"/admin/imports/import/{job.pk}/change/")

    text = page.content.decode()
    assert "Bad line 7." in text
    assert "Bad line 8." not in text
    assert 'name="_save"' not in text
    assert "Delete" not in text


def test_staff_can_end_an_import(staff: Client, alice: User) -> None:
    job = services.request_import(owner=alice, content=b"x")
    action: dict[str, Any] = {"action": "cancel", "_selected_action": [str(job.pk)]}

    staff.post("/admin/imports/import/", action)

    assert Import.objects.get().status == "cancelled"
