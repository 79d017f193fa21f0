"""Events without end, with sse-starlette, and how many listeners have left."""

import asyncio

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

left = 0


async def events(request):
    async def ticks():
        global left
        try:
            while True:
                yield {"data": "tick"}
                await asyncio.sleep(0.02)
        finally:
            left += 1

    return EventSourceResponse(ticks())


async def how_many_left(request):
    return JSONResponse(left)


application = Starlette(routes=[Route("/events", events), Route("/left", how_many_left)])
