"""Django's PostgreSQL backend with a time limit for every wait; functions for SQL and ids."""

from eventbook.database.configuration import configured
from eventbook.database.ids import first_id_at, first_id_in_sql, new_id, seconds_of
from eventbook.database.statements import execute, in_order, is_timeout

__all__ = [
    "configured",
    "execute",
    "first_id_at",
    "first_id_in_sql",
    "in_order",
    "is_timeout",
    "new_id",
    "seconds_of",
]
