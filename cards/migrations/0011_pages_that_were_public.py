"""Set `public_since` of all pages that have a public card."""

from django.db import migrations

STEP = 5_000
NOTE = """
    UPDATE cards_url SET public_since = created_at
    WHERE id > %s AND id <= %s AND public_since IS NULL AND EXISTS (
        SELECT FROM cards_card WHERE url_id = cards_url.id AND visibility = 'PUBLIC'
    )
"""


def note(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM cards_url")
        (last,) = cursor.fetchone()
        for first in range(0, last, STEP):
            cursor.execute(NOTE, [first, first + STEP])


class Migration(migrations.Migration):
    # Each step is its own transaction, so that requests never wait long for its row locks.
    atomic = False

    dependencies = [
        ('cards', '0010_since_when_pages_are_public'),
    ]

    operations = [migrations.RunPython(note, migrations.RunPython.noop, elidable=True)]
