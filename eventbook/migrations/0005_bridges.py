import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# Every row of the table is soon dead, as in the outbox.
VACUUM = """
    ALTER TABLE eventbook_bridgeentry SET
        (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('eventbook', '0004_schedules'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReceivedEvent',
            fields=[
                ('pk', models.CompositePrimaryKey('source', 'identifier', blank=True, editable=False, primary_key=True, serialize=False)),
                ('source', models.TextField()),
                ('identifier', models.TextField()),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [models.Index(fields=['received_at'], name='received_by_time')],
            },
        ),
        migrations.CreateModel(
            name='BridgeEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bridge', models.TextField()),
                ('event', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='eventbook.event')),
            ],
            options={
                'verbose_name_plural': 'bridge entries',
                'indexes': [models.Index(fields=['bridge', 'id'], name='entry_by_bridge')],
            },
        ),
        migrations.CreateModel(
            name='ParkedMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bridge', models.TextField()),
                ('headers', models.JSONField(default=dict)),
                ('body', models.BinaryField(default=b'')),
                ('reason', models.TextField()),
                ('parked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('event', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='eventbook.event')),
            ],
            options={
                'permissions': [('operate_bridges', 'May replay and discard parked messages')],
                'constraints': [models.UniqueConstraint(fields=('bridge', 'event'), name='parked_once_per_bridge')],
            },
        ),
        migrations.RunSQL(VACUUM, migrations.RunSQL.noop),
    ]
