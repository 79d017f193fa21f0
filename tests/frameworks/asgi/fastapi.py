"""The common pages and WebSockets, and events without end, with FastAPI."""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Form, Request, UploadFile, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

application = FastAPI()
left = 0


@application.head("/hello/{name}", include_in_schema=False)
@application.get("/hello/{name}")
async def hello(name: str):
    answer = PlainTextResponse(f"Hello, {name}!")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


@application.post("/echo")
async def echo(request: Request):
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


@application.post("/upload")
def upload(file: UploadFile, note: Annotated[str, Form()]):
    """In a thread, as it is not async."""
    return {"name": file.filename, "size": len(file.file.read()), "note": note}


@application.get("/stream")
async def stream():
    async def numbers():
        for n in range(100):
            yield f"{n}\n"

    return StreamingResponse(numbers(), media_type="text/plain")


@application.get("/events")
async def events():
    async def ticks():
        global left
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0.02)
        finally:
            left += 1

    return StreamingResponse(ticks(), media_type="text/event-stream")


@application.get("/left")
async def how_many_left():
    return left


@application.websocket("/ws/{name}")
async def talk(socket: WebSocket, name: str):
    await socket.accept()
    await socket.send_text(f"Hello, {name}!")
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") == "end":
            return await socket.close(4001)
        await socket.send({**message, "type": "websocket.send"})


@application.websocket("/refused")
async def refuse(socket: WebSocket):
    await socket.close()
