"""What staff see of the event system, and do to it."""

from events.admin import deliveries, queues
from events.admin.records import ReadOnlyAdmin

__all__ = ["ReadOnlyAdmin", "deliveries", "queues"]
