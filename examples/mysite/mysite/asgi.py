"""The ASGI application: pages, and the WebSockets of the chat."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
pages = get_asgi_application()

# Consumers may use models, which are there from here on.
from chat.consumers import Room  # noqa: E402

application = ProtocolTypeRouter({
    "http": pages,
    # A page of another site may not chat for whoever looks at it.
    "websocket": AllowedHostsOriginValidator(URLRouter([path("chat/room", Room.as_asgi())])),
})
