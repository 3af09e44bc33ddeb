"""What processes count, trace and report of themselves while they work."""

from eventbook.observe import tracing
from eventbook.observe.failures import (
    class_and_place,
    connection_error,
    name_of,
    traceback_without_messages,
)
from eventbook.observe.presence import process_group, register_process
from eventbook.observe.vitals import Vitals

__all__ = [
    "Vitals",
    "class_and_place",
    "connection_error",
    "name_of",
    "process_group",
    "register_process",
    "traceback_without_messages",
    "tracing",
]
