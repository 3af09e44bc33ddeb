from __future__ import annotations

from django.db import migrations

# PostgreSQL sends one notification for all equal ones of a transaction, when it commits.
NOTIFY = """
    CREATE FUNCTION events_notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NOTIFY outbox;
        RETURN NULL;
    END $$;
    CREATE TRIGGER events_notify_outbox AFTER INSERT ON events_outboxentry
        FOR EACH STATEMENT EXECUTE FUNCTION events_notify_outbox();
"""
DROP_NOTIFY = """
    DROP TRIGGER events_notify_outbox ON events_outboxentry;
    DROP FUNCTION events_notify_outbox();
"""
# Every row of these tables is soon dead: the default, a fifth of the table, is far too patient.
VACUUM = """
    ALTER TABLE events_outboxentry SET
        (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    ALTER TABLE events_lease SET
        (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
    ALTER TABLE events_delivery SET (autovacuum_vacuum_scale_factor = 0.05);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.RunSQL(NOTIFY, DROP_NOTIFY),
        migrations.RunSQL(VACUUM, migrations.RunSQL.noop),
    ]
