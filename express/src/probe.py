"""Loads the application as a daemon will, in a process of its own, and reports as lines of JSON.

Argument: what to load, as JSON. `is_asgi` and `takes` stand above this text in the program:
`python/mod_wsgi/express/interface.py`.
"""

import functools
import importlib
import importlib.util
import inspect
import json
import os
import site
import sys
import traceback
import types

ONLY_IN_A_DAEMON = ("mod_wsgi", "apache")  # what these have there is not to be had here
#: Packages whose extension modules work in the main interpreter of a process only, all or in many versions.
FOR_THE_MAIN_INTERPRETER = ("numpy", "pandas", "scipy", "torch", "tensorflow", "cv2", "lxml", "grpc", "pyarrow", "psycopg2", "uvloop", "gevent",
                            "cryptography", "pydantic_core", "orjson", "polars", "bcrypt", "oracledb", "shapely")

wanted = json.loads(sys.argv[1])
# The application's own output is no report.
report = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def tell(**facts):
    print(json.dumps(facts), file=report, flush=True)


def end(code):
    sys.stderr.flush()
    os._exit(code)  # threads that the application has started would go on for ever


def search_path():
    sys.path[0] = os.getcwd()
    before = list(sys.path)
    for directory in wanted["path"]:
        site.addsitedir(directory)
    added = [path for path in sys.path if path not in before]
    sys.path[:] = before[:1] + added + before[1:]


def engine():
    try:
        importlib.import_module("mod_wsgi._engine")
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def load():
    """The namespace with the callable, and the callable."""
    kind, entry = wanted["type"], wanted["entry"]
    if kind == "module":
        module = importlib.import_module(entry)
    elif kind == "paste":
        deploy = importlib.import_module("paste.deploy")
        return None, deploy.loadapp("config:" + os.path.abspath(entry))
    else:
        module = types.ModuleType("__wsgi__")
        module.__file__ = entry
        sys.modules["__wsgi__"] = module
        with open(entry, "rb") as source:
            code = compile(source.read(), entry, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    return module, getattr(module, wanted["callable"], None)


def kind_of(function):
    """What a callable is to a WSGI server."""
    if not callable(function):
        return "missing"
    if is_asgi(function):
        return "asgi"
    if inspect.isclass(function):
        return "wsgi" if takes(function, 2) and hasattr(function, "__iter__") else "arguments"
    return "wsgi" if takes(function, 2) else "arguments"


def others(module):
    """Names that the callable may have instead: what a framework has made, or a function of two arguments."""
    names = ("application", "app", "wsgi_app", "wsgi", "api", "server")
    return [name for name in names if name != wanted["callable"] and kind_of(getattr(module, name, None)) in ("wsgi", "asgi")]


def frames_of_the_application(error):
    """Where the error comes from, in the last file that is no installed package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if "site-packages" not in frame.filename and not frame.filename.startswith(sys.base_prefix + "/lib")]
    return [f"{frame.filename}:{frame.lineno}" for frame in (own or frames)[-1:]]


def django(kind):
    """What Django says of a deployment, where the application, of this kind, is one of Django."""
    conf = sys.modules.get("django.conf")
    apps = sys.modules.get("django.apps")
    if conf is None or apps is None or not conf.settings.configured or not apps.apps.ready:
        return None
    from django.core import checks

    own = sys.modules.get("mod_wsgi.express.checks")
    if own is not None:
        own.served = kind
    messages = [message for message in checks.run_checks(include_deployment_checks=True) if not message.is_silenced()]
    tell(django=[{"id": message.id or "", "serious": message.is_serious(), "text": str(message.msg), "hint": str(message.hint or "")} for message in messages])
    tell(migrations=migrations(conf.settings))


def migrations(settings):
    """How many migrations the database lacks; None where it does not tell."""
    try:
        from django.db import connections
        from django.db.migrations.executor import MigrationExecutor

        connection = connections["default"]
        # To connect would make the file.
        if connection.vendor == "sqlite" and not os.path.exists(str(connection.settings_dict["NAME"])):
            return 1
        executor = MigrationExecutor(connection)
        return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except Exception:
        return None


def new_loop(kind):
    """The event loop that --loop names, made as a process makes it."""
    import asyncio

    if kind == "auto":
        kind = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    module, _, name = {"asyncio": "asyncio:new_event_loop", "uvloop": "uvloop:new_event_loop"}.get(kind, kind).partition(":")
    loop = functools.reduce(getattr, name.split("."), importlib.import_module(module))()
    asyncio.set_event_loop(loop)
    return loop


def lifespan(application, mode):
    """Tell an ASGI application that its process starts, and ends: how that goes wrong, or None."""
    import asyncio

    loop = new_loop(wanted["loop"])
    inbox, answers = asyncio.Queue(), {"startup": loop.create_future(), "shutdown": loop.create_future()}

    async def send(message):
        stage, _, outcome = message["type"].removeprefix("lifespan.").partition(".")
        failed = outcome == "failed"
        answers[stage].set_result({"text": last_line(message.get("message")), "at": []} if failed else None)

    async def live():
        try:
            await application({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}, inbox.get, send)
            failure = {"text": "it returns without an answer", "at": []}
        except BaseException as error:
            traceback.print_exc()
            failure = {"text": f"{type(error).__name__}: {error}".splitlines()[0], "at": frames_of_the_application(error)}
        if not answers["startup"].done():
            # One that does not know of lifespan raises.
            answers["startup"].set_result(failure if mode == "on" else {})
        elif not answers["shutdown"].done():
            answers["shutdown"].set_result(failure)

    async def both():
        task = asyncio.create_task(live())
        for stage, answer in answers.items():
            tell(stage=f"lifespan.{stage}")
            inbox.put_nowait({"type": f"lifespan.{stage}"})
            failure = await answer
            if failure is not None:
                return {"stage": stage, **failure} if failure else None
        await task

    return loop.run_until_complete(both())


def last_line(text):
    """What is said at the end of a traceback, or of any other text."""
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else "it gives no reason"


def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


search_path()
if wanted["deep"]:
    tell(python="%d.%d.%d" % sys.version_info[:3], engine=engine())
try:
    module, function = load()
    kind = kind_of(function)
    if kind == "missing":
        print(f"{module.__file__} has no callable {wanted['callable']!r}", file=sys.stderr)
    tell(callable=kind, others=others(module) if kind != "wsgi" and module else [])
except BaseException as error:
    missed_in = (getattr(error, "name", None), getattr(getattr(error, "obj", None), "__name__", None))
    traceback.print_exc()
    if any(module in ONLY_IN_A_DAEMON for module in missed_in):
        tell(only_in_a_daemon=True)
        end(0)
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    tell(failure={"text": f"{type(error).__name__}: {error}".splitlines()[0], "missing": missing, "at": frames_of_the_application(error)})
    end(1)
if wanted["deep"]:
    if kind == "asgi" and wanted["interface"] != "wsgi" and wanted["lifespan"] != "off":
        try:
            failure = lifespan(function, wanted["lifespan"])
        except BaseException as error:
            traceback.print_exc()
            failure = {"stage": "startup", "text": f"{type(error).__name__}: {error}".splitlines()[0], "at": frames_of_the_application(error)}
        if failure:
            tell(lifespan=failure)
    tell(extensions=[name for name in FOR_THE_MAIN_INTERPRETER if name in sys.modules])
    try:
        tell(resident=resident())
        django(kind)
    except Exception as error:
        tell(unchecked=f"{type(error).__name__}: {error}")
end(1 if kind == "missing" else 0)
