"""The pages of the site."""

from django.contrib import admin
from django.urls import path
from django.views.generic import TemplateView

from files.views import FileList

urlpatterns = [
    path("", FileList.as_view(), name="files"),
    path("chat/", TemplateView.as_view(template_name="chat/room.html"), name="chat"),
    path("admin/", admin.site.urls),
]
