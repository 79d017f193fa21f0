"""The asynchronous application of the comparison: 12 bytes, and WebSockets on which each message comes back."""

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"12")]


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"Hello World!"})
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        await live(receive, send)


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def live(receive, send):
    """The application's start and end."""
    for _ in range(2):
        message = await receive()
        await send({"type": message["type"] + ".complete"})
