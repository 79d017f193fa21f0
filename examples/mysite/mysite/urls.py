"""The pages of the site."""

from django.contrib import admin
from django.urls import path

from files.views import FileList

urlpatterns = [path("", FileList.as_view(), name="files"), path("admin/", admin.site.urls)]
