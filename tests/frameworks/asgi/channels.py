"""The common pages with Django's async views, and with Channels the WebSockets and a room in which all hear all."""

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost"], SECRET_KEY="for this test only",
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
pages = get_asgi_application()


async def hello(request, name):
    answer = HttpResponse(f"Hello, {name}!", content_type="text/plain; charset=utf-8")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


async def echo(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


def upload(request):
    """In a thread, as it is not async."""
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": len(file.read()), "note": request.POST["note"]})


async def stream(request):
    async def numbers():
        for n in range(100):
            yield f"{n}\n"

    return StreamingHttpResponse(numbers(), content_type="text/plain")


urlpatterns = [
    path("hello/<str:name>", hello),
    path("echo", echo),
    path("upload", upload),
    path("stream", stream),
]


class Talk(AsyncWebsocketConsumer):
    """Says back what is said."""

    async def connect(self):
        await self.accept()
        await self.send(f"Hello, {self.scope['url_route']['kwargs']['name']}!")

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "end":
            return await self.close(4001)
        await self.send(text_data, bytes_data)


class Refuse(AsyncWebsocketConsumer):
    """Lets nobody in."""

    async def connect(self):
        await self.close()


class Room(AsyncWebsocketConsumer):
    """Says to all what one says, and who has left."""

    groups = ["room"]

    async def say(self, line):
        await self.channel_layer.group_send("room", {"type": "room.said", "line": line})

    async def receive(self, text_data=None, bytes_data=None):
        await self.say(text_data)

    async def disconnect(self, code):
        await self.say(f"somebody left with {code}")

    async def room_said(self, event):
        await self.send(event["line"])


application = ProtocolTypeRouter({
    "http": pages,
    "websocket": URLRouter([
        path("ws/<str:name>", Talk.as_asgi()),
        path("refused", Refuse.as_asgi()),
        path("room", AllowedHostsOriginValidator(Room.as_asgi())),
    ]),
})
