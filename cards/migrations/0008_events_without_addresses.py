"""Take the addresses of imports out of the event store: they may hold passwords and tokens."""

from django.db import migrations

STEP = 5_000
# The host stays: it is what shares a rate limit.
SCRUB = r"""
    WITH told AS (
        SELECT id FROM events_event
        WHERE type = ANY(ARRAY['import.requested', 'import.batch_ready'])
          AND data ->> 'source' LIKE '%%://%%'
        ORDER BY id LIMIT %s FOR UPDATE
    )
    UPDATE events_event event
    SET data = jsonb_set(event.data, '{source}', to_jsonb(coalesce(lower(substring(
        event.data ->> 'source' from '^[A-Za-z]+://(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]+)'
    )), 'nowhere')))
    FROM told WHERE event.id = told.id
"""
# Rows of rate limits are made anew where they are missing.
FORGET = """
    DELETE FROM events_rategroup WHERE name LIKE 'imports %%://%%'
"""
FORGET_USES = """
    DELETE FROM events_permit WHERE "group" LIKE 'imports %%://%%'
"""


def scrub(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(SCRUB, [STEP])
            if cursor.rowcount < STEP:
                break
        cursor.execute(FORGET, [])
        cursor.execute(FORGET_USES, [])


class Migration(migrations.Migration):
    # Each step in a transaction of its own, so that nobody waits for long.
    atomic = False

    dependencies = [
        ('cards', '0007_quotas_of_imports'),
        ('events', '0009_outbox_by_lane'),
    ]

    operations = [migrations.RunPython(scrub, migrations.RunPython.noop, elidable=True)]
