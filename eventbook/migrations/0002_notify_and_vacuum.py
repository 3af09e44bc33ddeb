from __future__ import annotations

from django.db import migrations

# PostgreSQL sends one notification for all equal ones of a transaction, when it commits.
# Transactions that notify wait for each other at their commits. So nobody notifies a relay that is
# awake: it holds this advisory lock then, and polls the outbox itself. The number is POLLING_LOCK in
# eventbook/relay/relay.py, written out since a migration must not change with the code.
NOTIFY = """
    CREATE FUNCTION eventbook_notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_try_advisory_lock_shared(7310579) THEN
            PERFORM pg_advisory_unlock_shared(7310579);
            NOTIFY outbox;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER eventbook_notify_outbox AFTER INSERT ON eventbook_outboxentry
        FOR EACH STATEMENT EXECUTE FUNCTION eventbook_notify_outbox();
"""
DROP_NOTIFY = """
    DROP TRIGGER eventbook_notify_outbox ON eventbook_outboxentry;
    DROP FUNCTION eventbook_notify_outbox();
"""
# Every row of these tables is soon dead: the default, a fifth of the table, is far too patient.
VACUUM = """
    ALTER TABLE eventbook_outboxentry SET
        (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    ALTER TABLE eventbook_lease SET
        (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
    ALTER TABLE eventbook_delivery SET (autovacuum_vacuum_scale_factor = 0.05);
"""


class Migration(migrations.Migration):
    dependencies = [("eventbook", "0001_initial")]

    operations = [
        migrations.RunSQL(NOTIFY, DROP_NOTIFY),
        migrations.RunSQL(VACUUM, migrations.RunSQL.noop),
    ]
