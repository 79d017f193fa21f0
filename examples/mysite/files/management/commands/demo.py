"""``manage.py demo``: prepares everything, then runs the site."""

import os
import pwd

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

#: Users that Apache packages bring along, and the one that is everywhere.
UNPRIVILEGED = ["www-data", "apache", "_www", "nobody"]


class Command(BaseCommand):
    """Can be run again and again."""

    help = "Prepares the database, an administrator and the static files, then runs the site with runmodwsgi."

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="Where to listen: this machine only, because everybody knows the password.")
        parser.add_argument("--port", default="8000")

    def handle(self, *args, host, port, **options):
        self.step("Database")
        call_command("migrate", verbosity=0)
        self.step("Administrator: admin, password admin")
        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@example.com", "admin")
        self.step("Static files")
        call_command("collectstatic", verbosity=0, interactive=False)
        identity = self.give_away() if os.geteuid() == 0 else []
        self.step(f"Apache: http://localhost:{port}/ (stop it with Ctrl-C); the chat is at http://localhost:{port}/chat/")
        call_command("runmodwsgi", "--interface", "asgi", "--host", host, "--port", port, "--log-to-terminal", *identity)

    def step(self, text):
        """A line of progress."""
        self.stdout.write(f"==> {text}")
        self.stdout.flush()

    def give_away(self):
        """Let an unprivileged user own the data; the options that make the application run as that user."""
        accounts = {account.pw_name: account for account in pwd.getpwall() if account.pw_uid}
        names = [os.environ.get("SUDO_USER"), *UNPRIVILEGED]
        user = next(accounts[name] for name in names if name in accounts)
        for directory, _, files in os.walk(settings.DATA):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                os.chown(path, user.pw_uid, user.pw_gid)
        return ["--user", user.pw_name]
