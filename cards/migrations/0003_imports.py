
import django.contrib.postgres.fields
import django.db.models.deletion
import events.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('cards', '0002_pages'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Import',
            fields=[
                ('id', models.UUIDField(default=events.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('source_kind', models.CharField(choices=[('upload', 'Upload'), ('url', 'Address'), ('feed', 'News of a feed')], max_length=6)),
                ('source', models.TextField(blank=True, max_length=2048)),
                ('format', models.CharField(blank=True, max_length=20)),
                ('status', models.CharField(choices=[('queued', 'Waiting'), ('reading', 'Being read'), ('running', 'Being added'), ('done', 'Done'), ('previewed', 'Previewed'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=9)),
                ('error', models.TextField(blank=True)),
                ('options', models.JSONField(default=dict)),
                ('preview', models.JSONField(blank=True, default=dict)),
                ('size', models.IntegerField(default=0)),
                ('read', models.IntegerField(default=0)),
                ('batches', models.IntegerField(default=0)),
                ('batches_done', models.IntegerField(default=0)),
                ('added', models.IntegerField(default=0)),
                ('known', models.IntegerField(default=0)),
                ('failed', models.IntegerField(default=0)),
                ('added_public', models.IntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='imports', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name='card',
            name='tags',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(max_length=100), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.CreateModel(
            name='ImportFile',
            fields=[
                ('origin', models.OneToOneField(db_column='import_id', on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='file', serialize=False, to='cards.import')),
                ('content', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='ImportBatch',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('rows', models.IntegerField()),
                ('items', models.BinaryField()),
                ('origin', models.ForeignKey(db_column='import_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='batch_set', to='cards.import')),
            ],
        ),
        migrations.CreateModel(
            name='ImportedItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('identity', models.UUIDField()),
                ('parent', models.UUIDField(null=True)),
                ('card', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='imported_as', to='cards.card')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='ImportProblem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('line', models.IntegerField()),
                ('code', models.CharField(max_length=40)),
                ('detail', models.TextField()),
                ('row', models.TextField(blank=True, max_length=200)),
                ('origin', models.ForeignKey(db_column='import_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='problems', to='cards.import')),
            ],
        ),
        migrations.CreateModel(
            name='WebFeed',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('url', models.TextField(max_length=2048)),
                ('etag', models.TextField(blank=True, max_length=1000)),
                ('last_modified', models.TextField(blank=True, max_length=100)),
                ('asked_at', models.DateTimeField(blank=True, null=True)),
                ('refreshed_at', models.DateTimeField(blank=True, null=True)),
                ('next_refresh', models.DateTimeField()),
                ('failures', models.IntegerField(default=0)),
                ('error', models.TextField(blank=True)),
            ],
            options={
                'indexes': [models.Index(fields=['next_refresh'], name='feed_due')],
                'constraints': [models.UniqueConstraint(fields=('url',), name='one_feed_per_address')],
            },
        ),
        migrations.CreateModel(
            name='FeedSubscription',
            fields=[
                ('id', models.UUIDField(default=events.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('title', models.TextField(blank=True, max_length=500)),
                ('options', models.JSONField(default=dict)),
                ('caught_up', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('feed', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to='cards.webfeed')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='subscriptions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(fields=['owner', '-id'], name='subscription_by_owner')],
                'constraints': [models.UniqueConstraint(fields=('owner', 'feed'), name='one_subscription_per_feed')],
            },
        ),
        migrations.AddIndex(
            model_name='import',
            index=models.Index(fields=['owner', '-id'], name='import_by_owner'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.CheckConstraint(condition=models.Q(('batches_done__lte', models.F('batches'))), name='import_batches_in_bounds'),
        ),
        migrations.AddConstraint(
            model_name='importbatch',
            constraint=models.UniqueConstraint(fields=('origin', 'number'), name='one_import_batch_of_number'),
        ),
        migrations.AddIndex(
            model_name='importeditem',
            index=models.Index(condition=models.Q(('parent__isnull', False)), fields=['owner'], name='item_without_parent'),
        ),
        migrations.AddConstraint(
            model_name='importeditem',
            constraint=models.UniqueConstraint(fields=('owner', 'identity'), name='one_item_per_identity'),
        ),
        migrations.AddIndex(
            model_name='importproblem',
            index=models.Index(fields=['origin', 'id'], name='problem_by_import'),
        ),
    ]
