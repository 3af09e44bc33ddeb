"""The event system's pages in Django's admin: for staff, to watch and control it."""

from eventbook.operate.admin import bridges, deliveries, queues, schedules
from eventbook.operate.admin.records import ReadOnlyAdmin

__all__ = ["ReadOnlyAdmin", "bridges", "deliveries", "queues", "schedules"]
