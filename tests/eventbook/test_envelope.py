"""Events on disk: every version that was ever published is read for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from eventbook.beat.schedule import SlotDue, schedules
from eventbook.declare import events
from eventbook.declare.events import EventType, NewerEvent, UnknownEvent, decode

PUBLISHED = Path(__file__).parent / "published"


def own_types() -> list[EventType]:
    """This answers the types that applications declare; all slots of schedules have one shape."""
    return [
        known
        for name, known in events.type_of_name.items()
        if "probe" not in name and not issubclass(known.dataclass, SlotDue)
    ]


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.json")), ids=lambda path: path.stem)
def test_each_published_version_is_still_read(path: Path) -> None:
    name, version = path.stem.rsplit(".v", 1)

    event = decode(name, int(version), path.read_bytes())

    assert type(event) is events.type_of_name[name].dataclass


def test_the_present_version_of_each_event_is_frozen_as_a_fixture() -> None:
    expected = {f"{known.name}.v{known.version}.json" for known in own_types()}

    assert expected <= {path.name for path in PUBLISHED.glob("*.json")}


def test_the_present_version_still_writes_what_was_published() -> None:
    for known in own_types():
        published = (PUBLISHED / f"{known.name}.v{known.version}.json").read_bytes()

        event = decode(known.name, known.version, published)

        # Fields may have been added since.
        assert json.loads(events.encode(event)).items() >= json.loads(published).items()


def test_the_slot_of_a_schedule_reads_as_it_was_published() -> None:
    data = b'{"slot":"2026-01-02T03:00:00+00:00"}'

    for schedule in schedules.values():
        assert decode(f"{schedule.name}.due", 1, data).slot == "2026-01-02T03:00:00+00:00"
        assert events.encode(schedule.event(slot="2026-01-02T03:00:00+00:00")) == data


@dataclass(frozen=True, kw_only=True)
class Shelved:
    shelf: str

    @property
    def subject(self) -> str:
        return f"shelves/{self.shelf}"


@pytest.fixture
def second_version() -> Iterator[None]:
    events.event_type("probe.shelved", version=2)(Shelved)
    events.upcaster("probe.shelved", from_version=1)(from_first)
    yield
    del events.type_of_name["probe.shelved"]


def from_first(data: dict[str, Any]) -> dict[str, Any]:
    return {"shelf": data["place"]}


def test_an_old_version_is_brought_up_to_the_present_one(second_version: None) -> None:
    assert decode("probe.shelved", 1, b'{"place": "top"}') == Shelved(shelf="top")


def test_an_unknown_field_is_ignored(second_version: None) -> None:
    assert decode("probe.shelved", 2, b'{"shelf": "top", "new": 1}') == Shelved(shelf="top")


def test_a_newer_version_is_told_from_a_broken_one(second_version: None) -> None:
    with pytest.raises(NewerEvent):
        decode("probe.shelved", 3, b'{"shelf": "top"}')
    with pytest.raises(msgspec.ValidationError):
        decode("probe.shelved", 2, b"{}")
    with pytest.raises(UnknownEvent):
        decode("probe.never_heard_of", 1, b"{}")


def test_a_name_is_given_once(second_version: None) -> None:
    with pytest.raises(ValueError, match="is taken"):
        events.event_type("probe.shelved", version=3)(Shelved)


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
