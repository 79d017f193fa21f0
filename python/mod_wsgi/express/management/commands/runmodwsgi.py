"""``manage.py runmodwsgi``: ``mod_wsgi-express start-server`` for this project."""

import argparse
import os

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mod_wsgi.express import checks, cli, project


class Command(BaseCommand):
    """Django reads its own options; all others go on to the command, which alone knows them."""

    help = "Serves this project with Apache: takes the options of mod_wsgi-express start-server, and those of every Django command. "\
        "--interface asgi serves its ASGI application."

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
        parser.add_argument("--serve-media", action="store_true", help="Have Apache serve the files of MEDIA_ROOT at MEDIA_URL: nothing in them is run, here or in a browser.")
        # The project says which application it is; what older scripts say besides has never counted.
        for name in ("--application-type", "--callable-object"):
            parser.add_argument(name, help=argparse.SUPPRESS)

    def print_help(self, prog_name, subcommand):
        """``manage.py help runmodwsgi``."""
        self.create_parser(prog_name, subcommand).parse_args(["--help"])

    def execute(self, *args, words=(), **options):
        """Have the checks, which come first, know what is to be served."""
        checks.served = interface_of(words, settings)
        return super().execute(*args, words=words, **options)

    def handle(self, *args, words=(), pythonpath=None, serve_media=False, **options):
        """Start the server in place of this process."""
        # Django has put this directory on its own search path; the server's processes have another.
        search = ["--python-path", os.path.abspath(pythonpath)] if pythonpath else []
        interface = interface_of(words, settings)
        start = [*application(settings, interface), *working_directory(settings), *search, *static_files(settings)]
        media = project.media_files(settings)
        if serve_media:
            if media is None:
                raise CommandError("--serve-media needs MEDIA_ROOT, and MEDIA_URL on this server: such as BASE_DIR / 'media' and 'media/'.")
            start += ["--media-files", *media]
        for line in advice(settings, None if serve_media else media, words, interface):
            self.stderr.write(line)
        cli.start(*start, *words)


class Help(argparse.Action):
    """Django's help, then the command's own."""

    def __call__(self, parser, namespace, values, option_string=None):
        parser.print_help()
        print()
        # The command's help takes the place of this process.
        cli.start("--help-all")


def interface_of(words, settings):
    """What the command is to speak: ``asgi`` where ``--interface`` says so, or where the project has nothing else."""
    found = "wsgi" if getattr(settings, "WSGI_APPLICATION", None) or not getattr(settings, "ASGI_APPLICATION", None) else "asgi"
    for word, following in zip(words, [*words[1:], ""]):
        name, given, value = word.partition("=")
        if name in ("--interface", "--application-interface"):
            found = value if given else following
    return "asgi" if found == "asgi" else "wsgi"


def application(settings, interface="wsgi"):
    """Arguments that name the project's application, as ``WSGI_APPLICATION`` does for runserver."""
    name = f"{interface.upper()}_APPLICATION"
    path = getattr(settings, name, None) or (project.asgi_application(settings) if interface == "asgi" else None) or ""
    module, dot, callable_object = path.rpartition(".")
    if not dot:
        raise CommandError(f"{name} is {path!r}; set it to the module and the name of the application, such as 'mysite.{interface}.application'.")
    return [module, "--application-type", "module", "--callable-object", callable_object, "--interface", interface]


def working_directory(settings):
    """Arguments that name the directory of the project; one that the user gives comes later and counts more."""
    directory = project.working_directory(settings)
    return ["--working-directory", directory] if directory else []


def static_files(settings):
    """Arguments that serve the collected files, unless WhiteNoise does."""
    files = project.static_files(settings)
    return ["--static-files", *files] if files else []


def advice(settings, media, words, interface="wsgi"):
    """Lines about what is no fault, but may be unexpected with these arguments."""
    names = {word.partition("=")[0] for word in words}
    develops = any(name.startswith("--reload") for name in names)
    if getattr(settings, "DEBUG", False) and not develops:
        yield "warning: DEBUG is on, so whatever fails shows visitors code and settings: turn it off, or add --reload while you develop."
    if media and not any(word.strip("/") == media[0].strip("/") for word in words):
        yield f"note: MEDIA_URL, {settings.MEDIA_URL}, is not served; --serve-media has Apache serve it from {media[1]}."
    asynchronous = project.needs_asgi(settings)
    if asynchronous and interface == "wsgi":
        yield f"note: this serves WSGI_APPLICATION, although the project has {asynchronous}; --interface asgi serves its ASGI application."
    relative = not project.written(settings, "STATIC_URL").startswith(("/", "http://", "https://"))
    if "--mount-point" in names and project.uses_whitenoise(settings) and relative:
        yield (
            "warning: WhiteNoise takes a STATIC_URL that is relative for one of the whole site, whatever --mount-point says: set STATIC_URL "
            "to the whole path, such as '/shop/static/', and WHITENOISE_STATIC_PREFIX to the part that follows the mount point, '/static/'."
        )
