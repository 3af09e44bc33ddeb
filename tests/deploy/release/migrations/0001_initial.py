from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            "Page",
            [("id", models.BigAutoField(primary_key=True)), ("title", models.TextField())],
        ),
    ]
