"""Events on disk: how versions, slots and unknown types are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from eventbook.beat.schedule import schedules
from eventbook.declare import events
from eventbook.declare.events import NewerEvent, UnknownEvent, decode


def test_the_slot_of_a_schedule_reads_as_it_was_published() -> None:
    data = b'{"slot":"2026-01-02T03:00:00+00:00"}'

    for schedule in schedules.values():
        assert decode(f"{schedule.name}.due", 1, data).slot == "2026-01-02T03:00:00+00:00"
        assert events.encode(schedule.event(slot="2026-01-02T03:00:00+00:00")) == data


def from_first(data: dict[str, Any]) -> dict[str, Any]:
    return {"shelf": data["place"]}


@pytest.fixture
def shelved() -> Iterator[Any]:
    @events.event_type("probe.shelved", version=2, upcasters={1: from_first})
    class Shelved:
        shelf: str

        @property
        def subject(self) -> str:
            return f"shelves/{self.shelf}"

    yield Shelved
    del events.type_of_name["probe.shelved"], events.type_of_class[Shelved]


def test_an_old_version_is_brought_up_to_the_present_one(shelved: Any) -> None:
    assert decode("probe.shelved", 1, b'{"place": "top"}') == shelved(shelf="top")


def test_an_unknown_field_is_ignored(shelved: Any) -> None:
    assert decode("probe.shelved", 2, b'{"shelf": "top", "new": 1}') == shelved(shelf="top")


def test_a_newer_version_is_told_from_a_broken_one(shelved: Any) -> None:
    with pytest.raises(NewerEvent):
        decode("probe.shelved", 3, b'{"shelf": "top"}')
    with pytest.raises(msgspec.ValidationError):
        decode("probe.shelved", 2, b"{}")
    with pytest.raises(UnknownEvent):
        decode("probe.never_heard_of", 1, b"{}")


def test_a_name_is_given_once(shelved: Any) -> None:
    with pytest.raises(ValueError, match="is taken"):
        events.event_type("probe.shelved", version=3)(shelved)


def test_the_envelope_is_a_cloud_event() -> None:
    from datetime import UTC, datetime

    made = events.cloud_event(
        id=UUID(int=1),
        type="card.added",
        version=1,
        subject="cards/1",
        time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        data={"a": 1},
        traceparent="",
    )

    assert made == {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000001",
        "source": "/commonplace",
        "type": "card.added",
        "subject": "cards/1",
        "time": "2026-01-02T03:04:05+00:00",
        "datacontenttype": "application/json",
        "dataschema": "/commonplace/schemas/card.added/1",
        "data": {"a": 1},
    }
