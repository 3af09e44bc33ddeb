"""The event system's pages in Django's admin: for staff, to watch and control it."""

from eventbook.operate.admin import deliveries, queues, schedules
from eventbook.operate.admin.records import ReadOnlyAdmin

__all__ = ["ReadOnlyAdmin", "deliveries", "queues", "schedules"]
