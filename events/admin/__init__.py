"""The event system's pages in Django's admin: for staff, to watch and control it."""

from events.admin import deliveries, queues
from events.admin.records import ReadOnlyAdmin

__all__ = ["ReadOnlyAdmin", "deliveries", "queues"]
