"""The common pages and WebSockets, with Quart."""

from quart import Quart, Response, request, websocket

application = Quart(__name__)


@application.get("/hello/<name>")
async def hello(name):
    answer = Response(f"Hello, {name}!", content_type="text/plain; charset=utf-8")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


@application.post("/echo")
async def echo():
    return Response(await request.get_data(), content_type="application/octet-stream")


@application.post("/upload")
async def upload():
    file = (await request.files)["file"]
    return {"name": file.filename, "size": len(file.read()), "note": (await request.form)["note"]}


@application.get("/stream")
async def stream():
    async def numbers():
        for n in range(100):
            yield f"{n}\n"

    return numbers(), {"Content-Type": "text/plain"}


@application.websocket("/ws/<name>")
async def talk(name):
    await websocket.send(f"Hello, {name}!")
    while (message := await websocket.receive()) != "end":
        await websocket.send(message)
    await websocket.close(4001)


@application.websocket("/refused")
async def refuse():
    return "not here", 403
