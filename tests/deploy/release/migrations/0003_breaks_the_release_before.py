from django.db import migrations, models


class Migration(migrations.Migration):
    """Break the release before, whose processes can no longer insert rows."""

    dependencies = [("release", "0002_page_note")]

    operations = [
        migrations.AddField("Page", "place", models.TextField(default="")),
        migrations.RemoveField("Page", "title"),
    ]
