"""Uploads in the admin."""

from django.contrib import admin

from .models import File


@admin.register(File)
class FileAdmin(admin.ModelAdmin):
    """The list of uploads."""

    list_display = ["name", "size", "uploaded"]
