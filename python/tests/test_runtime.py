"""The scripts of a generated server: where the application is, how it is loaded, when it is loaded again."""

import functools
import importlib
import os
import pickle
import sys

import pytest

from mod_wsgi.express import reloader, runtime


def located(mount_point, script_name, path_info, proxy={}):
    environ = {"SCRIPT_NAME": script_name, "PATH_INFO": path_info, **{f"mod_wsgi.{name}": proxy[name] for name in proxy}}
    runtime.locate(environ, mount_point)
    return environ["SCRIPT_NAME"], environ["PATH_INFO"]


@pytest.mark.parametrize("mount_point, script_name, path_info, expected", [
    ("", "", "/", ("", "/")),
    ("", "/a b", "/c", ("", "/a b/c")),
    ("", "/a/", "", ("", "/a/")),
    ("/api", "/api", "/users/7", ("/api", "/users/7")),
    ("/api", "/api/users", "/7", ("/api", "/users/7")),
    ("/api", "/api", "", ("/api", "")),
    ("/api", "/api/", "", ("/api", "/")),
    ("/api", "/apiary", "/x", ("", "/apiary/x")),
])
def test_the_path_is_split_at_the_mount_point(mount_point, script_name, path_info, expected):
    assert located(mount_point, script_name, path_info) == expected


@pytest.mark.parametrize("mount_point, script_name, path_info", [("", "", "/cart"), ("", "/cart", ""), ("/api", "/api", "/cart")])
def test_a_trusted_proxy_says_where_the_application_is(mount_point, script_name, path_info):
    proxy = {"mount_point": "/shop", "script_name": script_name}
    assert located(mount_point, "/shop", path_info, proxy=proxy) == ("/shop", "/cart")


@pytest.mark.parametrize("mount_point, root_path, path, proxied, expected", [
    ("", "/page", "/page", False, ("", "/page")),
    ("/api", "/api", "/api/users", False, ("/api", "/api/users")),
    ("/api", "/api", "/apiary", False, ("", "/apiary")),
    ("", "/shop", "/shop/cart", True, ("/shop", "/shop/cart")),
    ("/api", "/shop", "/shop/api/cart", True, ("/shop", "/shop/cart")),
])
def test_an_asgi_application_is_told_where_it_is(mount_point, root_path, path, proxied, expected):
    own = {"mod_wsgi.mount_point": "/shop"} if proxied else {}
    scope = {"root_path": root_path, "path": path, "extensions": {"mod_wsgi": {"environ": own}}}
    runtime.locate_scope(scope, mount_point)
    assert (scope["root_path"], scope["path"]) == expected


class Asynchronous:
    async def __call__(self, scope, receive, send):
        pass


class Synchronous:
    def __call__(self, environ, start_response):
        pass


async def coroutine(scope, receive, send):
    pass


@pytest.mark.parametrize("application, expected", [
    (coroutine, True), (Asynchronous(), True), (Asynchronous().__call__, True), (functools.partial(coroutine, {}), True),
    (lambda scope, receive, send: coroutine(scope, receive, send), True),
    (Synchronous(), False), (Asynchronous, False), (lambda environ, start_response: [], False), (lambda environ, start_response, own=1: [], False),
    (lambda *arguments: [], False), (print, False),
    (functools.partial(lambda settings, environ, start_response: [], {}), False),
    (functools.partial(lambda settings, scope, receive, send: coroutine(scope, receive, send), {}), True),
])
def test_an_asgi_application_is_recognised(application, expected):
    assert runtime.is_asgi(application) is expected


def environ(path="/", **more):
    return {"SCRIPT_NAME": path, "PATH_INFO": "", **more}


def settings(**changed):
    plain = {"entry_point": "", "application_type": "script", "callable_object": "application", "interface": "auto", "mount_point": "/",
             "reload_on_changes": False, "reloading": True, "environ": {}, "resources": {}, "tools": {}}
    return {**plain, **changed}


def script(directory, text, name="app.wsgi"):
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return str(path)


ECHO = "def application(environ, start_response):\n    return [environ['SCRIPT_NAME'], environ['PATH_INFO'], __file__]\n"


@pytest.mark.parametrize("mount_point", ["/api", "/api/", "api"])
def test_a_slash_behind_the_mount_point_means_nothing(tmp_path, mount_point):
    path = script(tmp_path, ECHO)
    handle_request, _ = runtime.serve(settings(entry_point=path, mount_point=mount_point))
    assert handle_request(environ("/api/users"), None) == ["/api", "/users", path]


def test_the_process_is_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    runtime.serve(settings(entry_point=script(tmp_path, ECHO), environ={"MOD_WSGI_EXPRESS": "true"}))
    assert os.environ == {"MOD_WSGI_EXPRESS": "true"}


def test_a_script_is_a_module(tmp_path):
    text = "class Thing: pass\ndef application(environ, start_response): return Thing()\n"
    handler = runtime.ApplicationHandler(script(tmp_path, text))
    thing = handler.handle_request(environ(), None)
    assert type(pickle.loads(pickle.dumps(thing))) is type(thing)


def test_a_script_says_its_encoding(tmp_path):
    path = tmp_path / "latin.wsgi"
    path.write_bytes("# -*- coding: latin-1 -*-\ndef application(e, s): return '\u00e9'\n".encode("latin-1"))
    assert runtime.ApplicationHandler(str(path)).handle_request(environ(), None) == "\u00e9"


def test_a_script_that_fails_leaves_no_module(tmp_path):
    sys.modules.pop("__wsgi__", None)
    with pytest.raises(ZeroDivisionError):
        runtime.ApplicationHandler(script(tmp_path, "1 / 0"))
    assert "__wsgi__" not in sys.modules


def test_a_missing_callable_is_named(tmp_path):
    path = script(tmp_path, "app = 1\n")
    with pytest.raises(runtime.ApplicationError, match=f"{path} has no callable 'app'; .*--callable-object"):
        runtime.ApplicationHandler(path, callable_object="app")


def test_a_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = script(tmp_path, ECHO, "module_under_test.py")
    handler = runtime.ApplicationHandler("module_under_test", "module")
    assert handler.handle_request(environ("/x"), None) == ["", "/x", path] and not handler.source.has_changed()
    script(tmp_path, ECHO + "\n", "module_under_test.py")
    assert handler.source.has_changed()


def test_a_static_site_has_no_application():
    answers = []
    handler = runtime.ApplicationHandler("/srv/site", "static")
    assert handler.handle_request(environ("/missing"), lambda status, headers: answers.append(status)) == [b"Not Found\n"]
    assert answers == ["404 Not Found"] and not handler.source.required("")


def test_a_changed_script_is_loaded_again_but_not_a_missing_one(tmp_path):
    path = script(tmp_path, ECHO)
    source = runtime.ApplicationHandler(path).source
    assert source.required == (os.fsencode(path), os.stat(path).st_mtime_ns, os.stat(path).st_size)
    assert not source.has_changed()
    os.remove(path)
    assert not source.has_changed()
    script(tmp_path, ECHO + "\n")
    assert source.has_changed()


def test_resources_are_chosen_by_extension(tmp_path):
    resources = {
        ".tpl": script(tmp_path, "def handle_request(environ, start_response): return 'template'", "a.wsgi"),
        "md": script(tmp_path, "def application(environ, start_response): return 'markdown'\n"
                               "def reload_required(resource): return resource == 'old'", "b.wsgi"),
    }
    handler = runtime.ResourceHandler(resources)
    for name, answer in ("page.tpl", "template"), ("PAGE.TPL.en", "template"), ("a.tpl.md", "markdown"):
        assert handler.handle_request({"SCRIPT_FILENAME": "/srv/x.y/" + name}, None) == answer
    with pytest.raises(runtime.ApplicationError):
        handler.handle_request({"SCRIPT_FILENAME": "/srv/x.md/page.html"}, None)
    assert not handler.reload_required("new") and handler.reload_required("old")


def test_changes_are_found_once_files_are_known(tmp_path):
    path, stamps = script(tmp_path, "1"), {}
    assert reloader.find_change(stamps, [path, str(tmp_path / "missing")]) is None
    script(tmp_path, "22")
    assert reloader.find_change(stamps, [path]) == path


def test_tracked_files_are_watched_beside_modules(tmp_path):
    path = script(tmp_path, "", "data.txt")
    reloader.track_changes(path)
    assert {path, runtime.__file__} <= reloader.watched_files()


def test_a_change_between_the_import_and_the_first_look_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(reloader.SourceFileLoader, "path_stats", reloader.SourceFileLoader.path_stats)
    monkeypatch.setattr(reloader, "_stamps", {})
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "module_that_changes.py"
    path.write_text("A = 1")
    reloader.note_imports()
    importlib.import_module("module_that_changes")
    path.write_text("A = 'another'")
    assert reloader.find_change(reloader._stamps, [str(path)]) == str(path)
