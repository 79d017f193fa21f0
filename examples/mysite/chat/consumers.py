"""The room's end of a WebSocket."""

from channels.generic.websocket import AsyncWebsocketConsumer

#: The longest line, letters.
LONGEST = 500


class Room(AsyncWebsocketConsumer):
    """Says to all what one says."""

    groups = ["room"]

    async def receive(self, text_data=None, bytes_data=None):
        """A visitor says something."""
        if text_data:
            await self.channel_layer.group_send("room", {"type": "room.said", "line": text_data[:LONGEST]})

    async def room_said(self, event):
        """Somebody has said something."""
        await self.send(event["line"])
