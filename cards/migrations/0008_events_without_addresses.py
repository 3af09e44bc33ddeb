"""Remove the addresses of imports from stored events: they may hold passwords and tokens."""

from django.db import migrations

STEP = 5_000
# The host is kept, because it names the group of a rate limit.
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
# Missing rows of rate limits are created again when needed.
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
    # Each step is its own transaction, so that requests never wait long for its row locks.
    atomic = False

    dependencies = [
        ('cards', '0007_quotas_of_imports'),
        ('events', '0009_outbox_by_lane'),
    ]

    operations = [migrations.RunPython(scrub, migrations.RunPython.noop, elidable=True)]
