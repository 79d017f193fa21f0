"""``manage.py runmodwsgi``: ``mod_wsgi-express start-server`` for this project."""

import argparse
import importlib
import os
import sys

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mod_wsgi.express import cli

WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"


class Command(BaseCommand):
    """Django reads its own options; all others go on to the command, which alone knows them."""

    help = "Serves this project with Apache: takes the options of mod_wsgi-express start-server, and those of every Django command."

    def create_parser(self, prog_name, subcommand, **kwargs):
        """Django's parser, which keeps what it does not know as ``words``."""
        # An abbreviation could be one of the command's options.
        parser = super().create_parser(prog_name, subcommand, allow_abbrev=False, add_help=False, **kwargs)

        def parse_args(args=None, namespace=None):
            options, options.words = parser.parse_known_args(args, namespace)
            return options

        parser.parse_args = parse_args
        return parser

    def add_arguments(self, parser):
        """Options that are neither Django's nor the command's."""
        parser.add_argument("-h", "--help", action=Help, nargs=0, help="Show this and the options of the command.")
        # The project says which application it is; what older scripts say besides has never counted.
        for name in ("--application-type", "--callable-object"):
            parser.add_argument(name, help=argparse.SUPPRESS)

    def print_help(self, prog_name, subcommand):
        """``manage.py help runmodwsgi``."""
        self.create_parser(prog_name, subcommand).parse_args(["--help"])

    def handle(self, *args, words=(), pythonpath=None, **options):
        """Start the server in place of this process."""
        # Django has put this directory on its own search path; the server's processes have another.
        search = ["--python-path", os.path.abspath(pythonpath)] if pythonpath else []
        files = static_files(settings)
        if files and not os.path.isdir(files[-1]):
            self.stderr.write(f"warning: STATIC_ROOT, {files[-1]}, does not exist; run 'manage.py collectstatic'.")
        cli.start(*application(settings), *working_directory(settings), *search, *files, *words)


class Help(argparse.Action):
    """Django's help, then the command's own."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        print()
        # The command's help takes the place of this process.
        cli.start("--help-all")


def application(settings):
    """Arguments that name the project's application, as ``WSGI_APPLICATION`` does for runserver."""
    path = settings.WSGI_APPLICATION or ""
    module, dot, name = path.rpartition(".")
    if not dot:
        raise CommandError(
            f"WSGI_APPLICATION is {path!r}; set it to the module and the name of the application, such as 'mysite.wsgi.application'."
        )
    return [module, "--application-type", "module", "--callable-object", name]


def working_directory(settings):
    """Arguments that name the directory of the project; one that the user gives comes later and counts more."""
    directory = getattr(settings, "BASE_DIR", None) or parent_of_package(getattr(settings, "SETTINGS_MODULE", None))
    return ["--working-directory", os.path.abspath(directory)] if directory else []


def parent_of_package(name):
    """The directory from which a module with a dotted name is imported; None for settings that are in no module."""
    if not name:
        return None
    outermost = importlib.import_module(name.partition(".")[0])
    if hasattr(outermost, "__path__"):
        return os.path.dirname(next(iter(outermost.__path__)))
    return os.path.dirname(outermost.__file__)


def static_files(settings):
    """Arguments that serve the collected files, unless WhiteNoise does."""
    by_whitenoise = any(WHITENOISE in (getattr(settings, name, None) or ()) for name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES"))
    url, root = (settings.STATIC_URL or "").rstrip("/"), settings.STATIC_ROOT
    if not root or not url.startswith("/") or by_whitenoise:
        return []
    return ["--url-alias", url, os.path.abspath(root)]
