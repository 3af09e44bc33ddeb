from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("release", "0001_initial")]

    operations = [migrations.AddField("Page", "note", models.TextField(null=True))]
