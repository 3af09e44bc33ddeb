"""Django's `migrate`, made safe to run while the site is in use."""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connection

logger = logging.getLogger(__name__)

# Three minutes in all, if every attempt waits for its lock in vain (DATABASE_LOCK_SECONDS in
# manage.py).
ATTEMPTS = 30
PAUSE_SECONDS = 4
LOCK_ERRORS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


class Command(migrate.Command):
    help = migrate.Command.help + " Waits for locks briefly and repeatedly, to block nobody else."

    def handle(self, *args: Any, **options: Any) -> None:
        """Apply the missing migrations; retry while a lock can't be had in time, or deadlocks.

        While a statement waits for a table's lock, all later statements on the table wait behind
        it, even reads. So each attempt waits briefly, and others run in the pause after it. A
        migration that fails is rolled back as a whole; earlier ones stay applied.
        """
        _refuse_other_encodings()
        _refuse_older_tables()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LOCK_ERRORS):
                    raise
                logger.warning("migration.locked", extra={"attempt": attempt})
            connection.close()
            time.sleep(PAUSE_SECONDS)
        raise CommandError(
            "Other transactions hold the locks that a migration needs. Find them in"
            " pg_stat_activity, end them, and run this again: applied migrations stay applied."
        )


def _refuse_other_encodings() -> None:
    """Raise CommandError unless the database's encoding is UTF-8."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding')")
        ((encoding,),) = cursor.fetchall()
    if encoding != "UTF8":
        raise CommandError(
            f"The database's encoding is {encoding}, which can't store all text. Create one by"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and set DATABASE_URL to it."
        )


def _refuse_older_tables() -> None:
    """Refuse a database from before the first release: its tables have other names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('events_event') IS NOT NULL"
            " AND to_regclass('eventbook_event') IS NULL"
        )
        ((is_older,),) = cursor.fetchall()
    if is_older:
        raise CommandError(
            "This database is of a version before the first release, and can't be migrated. Export"
            " its libraries with that version, and use a new database (local stack: remove .data)."
        )
