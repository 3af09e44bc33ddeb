"""Read CloudEvents 1.0 as they come in, in structured or binary mode, and check all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec

from eventbook.bridges.envelope import STRUCTURED
from eventbook.declare.bridges import Received, receivers

MAX_BYTES = 2**20
# The prefixes of attributes in binary mode: of HTTP and NATS, and of AMQP.
PREFIXES = ("ce-", "cloudevents_", "cloudevents:")
# In the index of received events, where long texts have no place; no control characters.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Malformed(Exception):
    """The message is no event that can be taken in; the message says why, without its contents."""


@dataclass(frozen=True)
class Arrival:
    """A message as it came in. Header names are in lower case.

    `receipt` is what its source needs to acknowledge it.
    """

    headers: Mapping[str, str]
    body: bytes
    receipt: Any = None


class Envelope(msgspec.Struct):
    """The attributes of an event that are read; others are ignored."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: Name
    subject: str = ""
    time: datetime | None = None
    datacontenttype: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: bytes | None = None


def read_envelope(arrival: Arrival) -> Envelope:
    """Return the envelope of a message; raise Malformed."""
    if len(arrival.body) > MAX_BYTES:
        raise Malformed(f"It is larger than {MAX_BYTES} bytes.")
    try:
        if arrival.headers.get("content-type", "").partition(";")[0].strip() == STRUCTURED:
            return msgspec.json.decode(arrival.body, type=Envelope)
        return _binary(arrival)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"It is no CloudEvent 1.0: {error}.") from error


def _binary(arrival: Arrival) -> Envelope:
    """Return the envelope whose attributes are headers, and whose data is the body."""
    attributes = {
        name.removeprefix(prefix): unquote(value) if prefix == "ce-" else value
        for name, value in arrival.headers.items()
        for prefix in PREFIXES
        if name.startswith(prefix)
    }
    attributes["datacontenttype"] = arrival.headers.get("content-type", "")
    envelope = msgspec.convert(attributes, Envelope, strict=False)
    envelope.data = msgspec.Raw(arrival.body or b"null")
    return envelope


def read_event(envelope: Envelope) -> Received[Any]:
    """Return an event for its receiver, with its data as the receiver's dataclass.

    Raise Malformed if this release has no receiver of the type, or the data does not fit.
    """
    receiver = receivers.get(envelope.type)
    if receiver is None:
        raise Malformed(f"This release has no receiver of {envelope.type}.")
    kind = envelope.datacontenttype.partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Malformed("Its data is not JSON.")
    raw = envelope.data if envelope.data_base64 is None else envelope.data_base64
    try:
        data = msgspec.json.decode(raw, type=receiver.dataclass)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"Its data does not fit: {error}.") from error
    return Received(
        source=envelope.source,
        id=envelope.id,
        type=envelope.type,
        subject=envelope.subject,
        time=envelope.time,
        data=data,
    )
