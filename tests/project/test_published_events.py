"""Every version of an event that was ever published is read and delivered for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eventbook.beat.schedule import SlotDue
from eventbook.declare import events
from eventbook.declare.events import EventType, decode
from eventbook.declare.handlers import all_handlers
from eventbook.models import Delivery, Event, OutboxEntry
from tests.conftest import Drain

PUBLISHED = Path(__file__).parent / "published"


def own_types() -> list[EventType]:
    """Return the types that apps declare, except the slots of schedules, which have one shape."""
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


@pytest.mark.django_db(transaction=True)
def test_present_handlers_deliver_every_event_that_was_ever_published(drain: Drain) -> None:
    published = set()
    for path in sorted(PUBLISHED.glob("*.json")):
        name, version = path.stem.rsplit(".v", 1)
        published.add(name)
        event = Event.objects.create(
            type=name, version=int(version), subject=path.stem, priority=5,
            data=json.loads(path.read_text()),
        )  # fmt: skip
        OutboxEntry.objects.create(event=event, type=name, priority=5)

    drain()

    heard_of = {handler.event_name for handler in all_handlers()} & published
    delivered = Delivery.objects.values_list("event__type", "state").distinct()
    assert len(heard_of) > 5
    assert set(delivered) == {(name, "done") for name in heard_of}
