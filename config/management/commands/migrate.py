from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connection

logger = logging.getLogger(__name__)

# Three minutes of tries, if each waits for its lock in vain (DATABASE_LOCK_SECONDS, manage.py).
ATTEMPTS = 30
PAUSE_SECONDS = 4


class Command(migrate.Command):
    help = migrate.Command.help + " Waits for locks in short turns, so that nobody waits behind it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Apply what is missing, as often as a lock is not to be had in time.

        Whoever wants a table after a statement that waits for its lock waits too, be it to read.
        So each attempt is short, and lets everyone else through before the next. A migration that
        gave up is rolled back as a whole; those before it are done.
        """
        _refuse_other_encodings()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                    raise
                logger.warning("migration.locked", extra={"attempt": attempt})
            connection.close()
            time.sleep(PAUSE_SECONDS)
        raise CommandError(
            "Other transactions hold the locks that a migration needs. See which ones in"
            " pg_stat_activity, end them, and run this again: what is applied stays applied."
        )


def _refuse_other_encodings() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_encoding')")
        ((encoding,),) = cursor.fetchall()
    if encoding != "UTF8":
        raise CommandError(
            f"The database's encoding is {encoding}, which can't hold everybody's text. Make one by"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in DATABASE_URL."
        )
