from django.db import migrations, models


class Migration(migrations.Migration):
    """This is what a release must not do: the processes of the one before can't insert any more."""

    dependencies = [("release", "0002_page_note")]

    operations = [
        migrations.AddField("Page", "place", models.TextField(default="")),
        migrations.RemoveField("Page", "title"),
    ]
