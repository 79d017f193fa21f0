"""The table of uploads."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Made by makemigrations."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="File",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content", models.FileField(upload_to="uploads", verbose_name="file")),
                ("name", models.CharField(editable=False, max_length=255)),
                ("size", models.PositiveBigIntegerField(editable=False)),
                ("uploaded", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-uploaded"]},
        ),
    ]
