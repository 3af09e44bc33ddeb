"""CloudEvents 1.0: how integration events are written for other systems, and read from them.

https://github.com/cloudevents/spec has the format and its bindings. In *structured* mode the body
is one JSON document; in *binary* mode the body is the data, and headers have the attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from eventbook.declare.bridges import integration_type_of_class
from eventbook.declare.events import SOURCE, Recorded

STRUCTURED = "application/cloudevents+json"
JSON = "application/json"


@dataclass(frozen=True)
class Message:
    """An integration event on its way out.

    Its id is the domain event's, so that a target or consumer can recognize a repetition.
    `aggregate` is the subject of the domain event: messages with the same one must stay in order.
    """

    id: UUID
    type: str
    aggregate: str
    attributes: Mapping[str, str]
    data: bytes

    @cached_property
    def structured(self) -> bytes:
        """Return the event as one JSON document."""
        return msgspec.json.encode({**self.attributes, "data": msgspec.Raw(self.data)})


def message_of(recorded: Recorded[Any], integration: Any, *, traceparent: str) -> Message:
    """Return the message with the integration event that was made from a domain event."""
    known = integration_type_of_class[type(integration)]
    attributes = {
        "specversion": "1.0",
        "id": str(recorded.id),
        "source": SOURCE,
        "type": known.type,
        "subject": integration.subject,
        "time": recorded.time.isoformat(),
        "datacontenttype": JSON,
        "dataschema": f"{SOURCE}/schemas/{known.name}/{known.version}",
    }
    if traceparent:
        attributes["traceparent"] = traceparent
    return Message(
        id=recorded.id,
        type=known.type,
        aggregate=recorded.event.subject,
        attributes=attributes,
        data=msgspec.json.encode(integration),
    )
