"""The one page: a form for uploads, and the list of them."""

from django.urls import reverse_lazy
from django.views.generic import CreateView

from .models import File


class FileList(CreateView):
    """Takes a file and shows all."""

    model = File
    fields = ["content"]
    success_url = reverse_lazy("files")
    template_name = "files/list.html"
    extra_context = {"files": File.objects.all()}
