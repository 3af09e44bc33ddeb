"""What processes count, trace and report of themselves while they work."""

from eventbook.observe import tracing
from eventbook.observe.failures import name_of, reason, told, trace
from eventbook.observe.presence import appear, process_group
from eventbook.observe.vitals import Vitals

__all__ = ["Vitals", "appear", "name_of", "process_group", "reason", "told", "trace", "tracing"]
