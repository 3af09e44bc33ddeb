"""The settings of every session; they override those of the server, the database and the role."""

from __future__ import annotations

# SQL statements and psycopg rely on these. They are sent in a connection's first message, so they
# cost no round trip.
SESSION: dict[str, str] = {
    # The text formats of values.
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    # The syntax and meaning of statements.
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # Isolation, write access, and no time limits of transactions and idle sessions.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
}
# libpq sends these by itself. Unlike `options`, poolers pass them on (docs/scaling.md).
ENVIRONMENT = {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"}
