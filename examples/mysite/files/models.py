"""What is known of an uploaded file."""

from django.db import models


class File(models.Model):
    """One upload."""

    content = models.FileField("file", upload_to="uploads")
    name = models.CharField(max_length=255, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    uploaded = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-uploaded"]

    def __str__(self):
        return self.name

    def save(self, *args, **kwargs):
        """Remember what the file was called: the one that is stored may have another name."""
        if not self.pk:
            self.name, self.size = self.content.name, self.content.size
        super().save(*args, **kwargs)
