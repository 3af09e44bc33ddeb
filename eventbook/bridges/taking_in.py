"""Take in events of other systems: note each as received and run its receiver, once.

Notes and what receivers record commit together, before the source gets its acknowledgement. So a
message that comes again, after a crash or by mistake, has no further effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, transaction

from eventbook.bridges.reading import Arrival, Malformed, read_envelope, read_event
from eventbook.database.statements import execute
from eventbook.declare.bridges import Bridge, Received, receivers
from eventbook.models import ParkedMessage
from eventbook.observe.failures import class_and_place
from eventbook.observe.families import TAKEN_IN

# Returns the events that were not there. Ordered, so that two bridges with the same events wait for
# each other and never deadlock.
NOTE = """
    INSERT INTO eventbook_receivedevent (source, identifier, received_at)
    SELECT source, id, now() FROM unnest(%s::text[], %s::text[]) AS event (source, id)
    ORDER BY source, id
    ON CONFLICT DO NOTHING RETURNING source, identifier
"""

RECORDED, REPEATED, IGNORED, PARKED = TAKEN_IN


def take_in(bridge: Bridge, arrivals: Sequence[Arrival]) -> Counter[str]:
    """Take in messages in their order, and return their number by outcome.

    A message that is malformed, or whose receiver fails, is parked. Events of types that the bridge
    does not consume are ignored. If one fails, the messages are taken in one by one. Raise database
    errors of an outage: then nothing was taken in.
    """
    try:
        with transaction.atomic():
            return _take_in(bridge, arrivals)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(arrivals) == 1:
            reason = f"Its receiver failed: {class_and_place(error)}."
            return Counter({_park(bridge, arrivals[0], reason): 1})
    outcomes: Counter[str] = Counter()
    for arrival in arrivals:
        outcomes += take_in(bridge, [arrival])
    return outcomes


def _take_in(bridge: Bridge, arrivals: Sequence[Arrival]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    events: dict[tuple[str, str], Received[Any]] = {}
    for arrival in arrivals:
        try:
            envelope = read_envelope(arrival)
            if envelope.type not in bridge.consume:
                outcomes[IGNORED] += 1
                continue
            event = read_event(envelope)
        except Malformed as error:
            outcomes[_park(bridge, arrival, str(error))] += 1
            continue
        outcomes[REPEATED] += (event.source, event.id) in events
        events.setdefault((event.source, event.id), event)
    if events:
        rows = execute(NOTE, [list(column) for column in zip(*events, strict=True)]).rows
        new = {(source, id) for source, id in rows}
        for key, event in events.items():
            if key in new:
                receivers[event.type].receive(event)
        outcomes[RECORDED] += len(new)
        outcomes[REPEATED] += len(events) - len(new)
    return outcomes


def _park(bridge: Bridge, arrival: Arrival, reason: str) -> str:
    """Keep a message for operators, and return the outcome."""
    headers = {_storable(name): _storable(value) for name, value in arrival.headers.items()}
    ParkedMessage.objects.create(
        bridge=bridge.name, headers=headers, body=arrival.body, reason=_storable(reason)
    )
    return PARKED


def _storable(text: str) -> str:
    """Return a text without the characters that PostgreSQL stores in no text."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
