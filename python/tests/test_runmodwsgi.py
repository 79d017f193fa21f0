"""``manage.py runmodwsgi``: what it makes of a project's settings and of its arguments."""

import types

import pytest

pytest.importorskip("django")

from django.conf import settings as django_settings  # noqa: E402
from django.core.management.base import CommandError  # noqa: E402

from mod_wsgi.express import cli, project  # noqa: E402
from mod_wsgi.express.management.commands import runmodwsgi  # noqa: E402

PROJECT = {"WSGI_APPLICATION": "mysite.wsgi.application", "BASE_DIR": "/srv/mysite", "STATIC_URL": "/static/", "STATIC_ROOT": "/srv/static"}


def settings(**changed):
    return types.SimpleNamespace(**{**PROJECT, **changed})


def test_the_application_is_the_project_s():
    assert runmodwsgi.application(settings()) == ["mysite.wsgi", "--application-type", "module", "--callable-object", "application", "--interface", "wsgi"]


def test_the_asgi_application_is_the_project_s_or_the_one_beside_the_other(tmp_path, monkeypatch):
    (tmp_path / "async_site").mkdir()
    for name in "__init__.py", "asgi.py":
        (tmp_path / "async_site" / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    both = ["--application-type", "module", "--callable-object", "application", "--interface", "asgi"]
    assert runmodwsgi.application(settings(ASGI_APPLICATION="shop.routing.application"), "asgi") == ["shop.routing", *both]
    assert runmodwsgi.application(settings(WSGI_APPLICATION="async_site.wsgi.application"), "asgi") == ["async_site.asgi", *both]
    with pytest.raises(CommandError, match="ASGI_APPLICATION"):
        runmodwsgi.application(settings(WSGI_APPLICATION="async_site.asgi_of_nobody"), "asgi")


@pytest.mark.parametrize("value", [None, "", "application"])
def test_a_project_without_an_application(value):
    with pytest.raises(CommandError, match="WSGI_APPLICATION"):
        runmodwsgi.application(settings(WSGI_APPLICATION=value))


def test_the_working_directory_is_the_project_s(tmp_path, monkeypatch):
    (tmp_path / "package_of_settings" / "settings").mkdir(parents=True)
    for name in "package_of_settings/__init__.py", "package_of_settings/settings/__init__.py", "package_of_settings/settings/live.py", "plain_settings.py":
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert runmodwsgi.working_directory(settings()) == ["--working-directory", "/srv/mysite"]
    for module in "package_of_settings.settings.live", "package_of_settings.settings", "plain_settings":
        assert runmodwsgi.working_directory(settings(BASE_DIR=None, SETTINGS_MODULE=module)) == ["--working-directory", str(tmp_path)]
    assert runmodwsgi.working_directory(settings(BASE_DIR=None)) == []


@pytest.mark.parametrize("changed, expected", [
    ({}, ["--static-files", "/static", "/srv/static"]),
    ({"STATIC_URL": "static/"}, ["--static-files", "static", "/srv/static"]),
    ({"STATIC_URL": "static/", "FORCE_SCRIPT_NAME": "/shop"}, ["--static-files", "/shop/static", "/srv/static"]),
    ({"MIDDLEWARE": [project.WHITENOISE]}, []),
    ({"MIDDLEWARE_CLASSES": (project.WHITENOISE,)}, []),
    ({"STATIC_ROOT": None}, []),
    ({"STATIC_URL": None}, []),
    ({"STATIC_URL": "/"}, []),
    ({"STATIC_URL": "https://cdn.example.test/static/"}, []),
    ({"STATIC_URL": "//cdn.example.test/static/"}, []),
])
def test_static_files(changed, expected):
    assert runmodwsgi.static_files(settings(**changed)) == expected


@pytest.mark.parametrize("changed, words, expected", [
    ({}, [], []),
    ({"DEBUG": True}, ["--port", "80"], ["warning: DEBUG"]),
    ({"DEBUG": True}, ["--reload"], []),
    ({"ASGI_APPLICATION": "mysite.asgi.application"}, [], ["note: this serves WSGI_APPLICATION"]),
    ({"INSTALLED_APPS": ["channels"]}, [], ["note: this serves WSGI_APPLICATION, although the project has channels"]),
    ({"MIDDLEWARE": [project.WHITENOISE], "STATIC_URL": "static/"}, ["--mount-point", "/shop"], ["warning: WhiteNoise"]),
    ({"MIDDLEWARE": [project.WHITENOISE], "STATIC_URL": "/shop/static/"}, ["--mount-point=/shop"], []),
])
def test_advice(changed, words, expected):
    told = list(runmodwsgi.advice(settings(**changed), None, words))
    assert [line.startswith(start) for line, start in zip(told, expected, strict=True)] == [True] * len(expected)


def test_uploads_are_offered_unless_they_are_served():
    files = project.media_files(settings(MEDIA_URL="media/", MEDIA_ROOT="/srv/media"))
    assert files == ("media", "/srv/media")
    assert "--serve-media" in next(runmodwsgi.advice(settings(MEDIA_URL="media/"), files, []))
    assert not list(runmodwsgi.advice(settings(), files, ["--url-alias", "/media/", "media"]))
    assert project.media_files(settings(MEDIA_URL="", MEDIA_ROOT="/srv/media")) is None


@pytest.fixture
def started(monkeypatch):
    """The arguments with which the command would have started."""
    if not django_settings.configured:
        django_settings.configure(**{**PROJECT, "STATIC_ROOT": None})
    words = []
    monkeypatch.setattr(cli, "start", lambda *args: words.extend(args))

    def run(*args):
        command = runmodwsgi.Command()
        options = vars(command.create_parser("manage.py", "runmodwsgi").parse_args(list(args)))
        command.handle(**options)
        return words[words.index("--working-directory") + 2:]
    return run


@pytest.mark.parametrize("args", [
    ["--port", "8001", "--setenv", "COLOUR", "dark blue", "--url-alias", "/media", "media", "--access-log"],
    ["--port=8001", "--log-level=debug"],
    ["--set", "A", "B"],
])
def test_options_go_on_as_they_are(started, args):
    assert started(*args) == args


def test_django_s_own_options_stay(started):
    args = ["--settings", "mysite.blue", "--port", "80", "-v", "2", "--no-color", "--traceback"]
    assert started(*args) == ["--port", "80"]


def test_modules_are_found_where_django_finds_them(started, tmp_path):
    assert started("--pythonpath", str(tmp_path), "--port", "80") == ["--python-path", str(tmp_path), "--port", "80"]


def test_the_application_is_not_to_be_chosen(started):
    assert started("--application-type", "script", "--callable-object=app", "--port", "80") == ["--port", "80"]


@pytest.mark.parametrize("words, interface", [
    ([], "wsgi"),
    (["--interface", "asgi"], "asgi"),
    (["--port", "80", "--application-interface=asgi"], "asgi"),
    (["--interface=asgi", "--interface", "auto"], "wsgi"),
    (["--interface"], "wsgi"),
])
def test_the_command_s_interface_chooses_the_application(words, interface):
    assert runmodwsgi.interface_of(words, settings(ASGI_APPLICATION="mysite.asgi.application")) == interface


def test_a_project_that_has_only_an_asgi_application_has_that_served():
    only = settings(WSGI_APPLICATION=None, ASGI_APPLICATION="mysite.asgi.application")
    assert runmodwsgi.interface_of([], only) == "asgi"
    assert runmodwsgi.interface_of(["--interface", "wsgi"], only) == "wsgi"
    assert runmodwsgi.interface_of([], settings(WSGI_APPLICATION=None)) == "wsgi"
