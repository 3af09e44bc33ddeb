from __future__ import annotations

from django.db import migrations, models

# The lock prevents new duplicates until the constraint exists. The first row of each pair is kept.
KEEP_FIRST = """
    LOCK TABLE notifications_notification IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM notifications_notification again USING (
        SELECT recipient_id, event_id,
               row_number() OVER (PARTITION BY recipient_id, actor_id ORDER BY event_id) AS place
        FROM notifications_notification WHERE kind = 'FOLLOWED'
    ) AS told
    WHERE told.place > 1 AND again.recipient_id = told.recipient_id
      AND again.event_id = told.event_id;
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_imported_cards")]

    operations = [
        migrations.RunSQL(KEEP_FIRST, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "FOLLOWED")),
                fields=("recipient", "actor"),
                name="one_notification_per_follower",
            ),
        ),
    ]
