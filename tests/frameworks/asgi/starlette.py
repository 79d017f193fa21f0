"""The common pages and WebSockets, and a file that Apache sends, with Starlette."""

from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


async def hello(request):
    answer = PlainTextResponse(f"Hello, {request.path_params['name']}!")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


async def echo(request):
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


async def upload(request):
    async with request.form() as form:
        file = form["file"]
        return JSONResponse({"name": file.filename, "size": len(await file.read()), "note": form["note"]})


async def stream(request):
    async def numbers():
        for n in range(100):
            yield f"{n}\n"

    return StreamingResponse(numbers(), media_type="text/plain")


def own_source(request):
    """In a thread, as it is not async."""
    return FileResponse(__file__, media_type="text/plain")


async def talk(socket):
    await socket.accept()
    await socket.send_text(f"Hello, {socket.path_params['name']}!")
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") == "end":
            return await socket.close(4001)
        await socket.send({**message, "type": "websocket.send"})


async def refuse(socket):
    await socket.close()


application = Starlette(routes=[
    Route("/hello/{name}", hello),
    Route("/echo", echo, methods=["POST"]),
    Route("/upload", upload, methods=["POST"]),
    Route("/stream", stream),
    Route("/source", own_source),
    WebSocketRoute("/ws/{name}", talk),
    WebSocketRoute("/refused", refuse),
])
