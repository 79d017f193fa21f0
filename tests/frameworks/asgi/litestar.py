"""The common pages and WebSockets, with Litestar."""

from typing import Annotated, Any

from litestar import Litestar, Request, Response, WebSocket, get, head, post, websocket
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Stream


@get("/hello/{name:str}", media_type="text/plain")
async def hello(name: str) -> Response[str]:
    return Response(f"Hello, {name}!", cookies=[Cookie("first", value="1"), Cookie("second", value="2")])


@head("/hello/{name:str}", media_type="text/plain")
async def only_head(name: str) -> None:
    pass


@post("/echo", status_code=200)
async def echo(request: Request) -> Response[bytes]:
    return Response(await request.body(), media_type="application/octet-stream")


@post("/upload", status_code=200)
async def upload(data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    file = data["file"]
    return {"name": file.filename, "size": len(await file.read()), "note": data["note"]}


@get("/stream")
async def stream() -> Stream:
    async def numbers():
        for n in range(100):
            yield f"{n}\n"

    return Stream(numbers(), media_type="text/plain")


@websocket("/ws/{name:str}")
async def talk(socket: WebSocket, name: str) -> None:
    await socket.accept()
    await socket.send_text(f"Hello, {name}!")
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") == "end":
            return await socket.close(4001)
        await socket.send({**message, "type": "websocket.send"})


@websocket("/refused")
async def refuse(socket: WebSocket) -> None:
    await socket.close()


application = Litestar([hello, only_head, echo, upload, stream, talk, refuse])
