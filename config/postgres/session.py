"""The settings of each session, whatever its server, database, role and process have set."""

from __future__ import annotations

# What our statements and psycopg rely on, whatever the server, the database or the role has set.
# They go with the first message of a connection, and so cost no round trip.
SESSION: dict[str, str] = {
    # How values are written and read.
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    # How statements are read.
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    # What transactions see, may do, and how long they and their sessions may last.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
}
# libpq sends these by itself; poolers know them too, unlike `options` (docs/scaling.md).
ENVIRONMENT = {"PGTZ": "UTC", "PGDATESTYLE": "ISO", "PGCLIENTENCODING": "UTF8"}
