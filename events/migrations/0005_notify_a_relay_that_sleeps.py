from __future__ import annotations

from django.db import migrations

# Transactions that notify wait for each other at their commits. So nobody notifies a relay that is
# awake: it holds this advisory lock then (events/relay.py), and looks by itself.
NOTIFY = """
    CREATE OR REPLACE FUNCTION events_notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_try_advisory_lock_shared(7310579) THEN
            PERFORM pg_advisory_unlock_shared(7310579);
            NOTIFY outbox;
        END IF;
        RETURN NULL;
    END $$;
"""
BEFORE = """
    CREATE OR REPLACE FUNCTION events_notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NOTIFY outbox;
        RETURN NULL;
    END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0004_without_foreign_keys_to_events")]

    operations = [migrations.RunSQL(NOTIFY, BEFORE)]
