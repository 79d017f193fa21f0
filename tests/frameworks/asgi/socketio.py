"""A server of Socket.IO, which says to all what one says."""

import socketio

server = socketio.AsyncServer(async_mode="asgi")
application = socketio.ASGIApp(server)


@server.event
async def say(sid, line):
    await server.emit("said", line)
    return "done"
