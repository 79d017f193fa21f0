"""What is easier said in Python of ASGI: the event loop, tasks, lifespan, and the end of all of them."""

import asyncio
import contextlib
import contextvars
import functools
import importlib
import inspect
import io
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType

request = contextvars.ContextVar("mod_wsgi.request")


def speaks(application):
    """Which interface an application has that does not say so itself by being asynchronous, as far as that can be told
    without calling it."""
    try:
        signature = inspect.signature(application)
    except (TypeError, ValueError):
        return "asgi"

    def takes(number):
        try:
            signature.bind(*(None,) * number)
        except TypeError:
            return False
        return True

    if takes(3):
        return "asgi"
    if takes(2):
        return "wsgi"
    return "asgi2" if takes(1) else "asgi"


def new_loop(kind):
    """The event loop that the option `loop` names; `auto`: uvloop's, if it is there."""
    if kind == "auto":
        try:
            import uvloop
        except ImportError:
            return asyncio.new_event_loop()
        return uvloop.new_event_loop()
    if kind == "asyncio":
        return asyncio.new_event_loop()
    if kind == "uvloop":
        kind = "uvloop:new_event_loop"
    module, _, name = kind.partition(":")
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))()


async def wait_for(awaitable):
    return await awaitable


def trace(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()


class Lifespan:
    """What one application is told of start and end of the process."""

    def __init__(self, loop, application, mode):
        self.application, self.needed = application, mode == "on"
        self.state = {}
        self.messages = asyncio.Queue()
        self.started, self.stopped = loop.create_future(), loop.create_future()
        self.task = None
        if mode == "off":
            self.started.set_result(None)
            return
        self.messages.put_nowait({"type": "lifespan.startup"})
        self.task = contextvars.copy_context().run(loop.create_task, self.run())

    async def run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        error = None
        try:
            await self.application(scope, self.messages.get, self.send)
        except BaseException as raised:
            error = raised
        if not self.started.done():
            failure = trace(error) if error else "It returned without an answer to lifespan.startup."
            self.started.set_result(failure if self.needed else None)
        if not self.stopped.done():
            self.stopped.set_result(trace(error) if isinstance(error, Exception) else None)

    async def send(self, message):
        kind, _, outcome = message["type"].rpartition(".")
        future = {"lifespan.startup": self.started, "lifespan.shutdown": self.stopped}.get(kind)
        if future is None or outcome not in ("complete", "failed"):
            raise RuntimeError(f"lifespan has no message {message['type']!r}")
        if future.done():
            raise RuntimeError(f"{message['type']!r} comes too late")
        failed = outcome == "failed"
        future.set_result((message.get("message") or "It gave no reason.").rstrip() if failed else None)

    async def end(self):
        """Tells the application that the process ends; what goes wrong, in words."""
        if self.task is None or self.task.done():
            return None
        self.messages.put_nowait({"type": "lifespan.shutdown"})
        return await self.stopped


class Loop:
    """The event loop of the process."""

    def __init__(self, kind, threads):
        self.loop = new_loop(kind)
        asyncio.set_event_loop(self.loop)
        self.loop.set_default_executor(ThreadPoolExecutor(threads, "asyncio"))
        self.lifespans = []

    def begin(self, application, mode):
        """Tells an application that the process starts."""
        lifespan = Lifespan(self.loop, application, mode)
        self.lifespans.append(lifespan)
        return lifespan

    def forget(self, lifespan):
        self.lifespans.remove(lifespan)
        if lifespan.task is not None:
            lifespan.task.cancel()

    def wait(self, lifespan):
        """Waits for an application to have started: what goes wrong, in words."""
        return self.loop.run_until_complete(lifespan.started)

    def tell(self, lifespan, started, number):
        """Calls a function when an application has started."""

        def tell(future):
            try:
                started(number, future.result())
            except SystemError as error:
                # Requests wait for an answer.
                started(number, trace(error))

        lifespan.started.add_done_callback(tell)

    def starter(self):
        """The function that starts the task of a request. Each has a copy of the same context, which has nothing of
        other requests."""
        loop, copy, note, Task = self.loop, contextvars.copy_context().copy, request.set, asyncio.Task
        create = loop.create_task
        own_tasks = loop.get_task_factory() is not None

        def prepare(application, scope, http):
            context = copy()
            context.run(note, http)
            coroutine = context.run(application, scope, http.receive, http.send)
            if type(coroutine) is not CoroutineType and not asyncio.iscoroutine(coroutine):
                coroutine = wait_for(coroutine)
            return context, coroutine

        def eager(application, scope, http):
            # As `prepare`, without another call: each request comes here.
            context = copy()
            context.run(note, http)
            coroutine = context.run(application, scope, http.receive, http.send)
            if type(coroutine) is not CoroutineType and not asyncio.iscoroutine(coroutine):
                coroutine = wait_for(coroutine)
            return Task(coroutine, loop=loop, context=context, eager_start=True)

        def in_context(application, scope, http):
            context, coroutine = prepare(application, scope, http)
            return create(coroutine, context=context)

        def copied(application, scope, http):
            context, coroutine = prepare(application, scope, http)
            return context.run(create, coroutine)

        if sys.version_info >= (3, 12) and not own_tasks:
            return eager
        return in_context if sys.version_info >= (3, 11) else copied

    def call_later(self, seconds, function):
        """Calls a function of the driver later. Where it fails, once more after a second: nothing else would."""

        def call():
            try:
                function()
            except SystemError:
                self.loop.call_later(1, call)
                raise

        self.loop.call_later(seconds, call)

    def run(self, descriptor, ready):
        """Runs until the loop is stopped; the reader is still there afterwards."""
        self.loop.add_reader(descriptor, ready)
        self.loop.run_forever()

    def end(self, report):
        """Cancels what still runs, tells applications that the process ends, and ends the loop."""
        loop = self.loop
        try:
            own = {lifespan.task for lifespan in self.lifespans}
            tasks = [task for task in asyncio.all_tasks(loop) if task not in own]
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            for lifespan in self.lifespans:
                failure = loop.run_until_complete(lifespan.end())
                if failure is not None:
                    with contextlib.suppress(SystemError):
                        report(failure)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def stack(task):
    """Where a task waits, as text."""
    text = io.StringIO()
    task.print_stack(file=text)
    return text.getvalue().rstrip()
