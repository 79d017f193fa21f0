"""The script of every site here: says what the server has told it, and decides who comes in."""

import json
import os
import pwd
import sys
from urllib.parse import parse_qs

PASSWORDS = {"ann": "secret", "bob": "geheim"}
GROUPS = {"ann": ["staff", "admins"], "bob": ["staff"]}


def serves(name):
    def served(environ, start_response):
        asked = parse_qs(environ["QUERY_STRING"])
        headers = [("Content-Type", "application/json")]
        headers += [tuple(header.split(": ", 1)) for header in asked.get("header", [])]
        facts = {key: str(value) for key, value in environ.items()}
        facts |= {"os." + key: value for key, value in os.environ.items()}
        facts |= {
            "callable": name,
            "script": os.path.basename(__file__),
            "directory": os.getcwd(),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "umask": format(umask(), "03o"),
            "path": ":".join(sys.path),
            "optimize": str(sys.flags.optimize),
            "body": environ["wsgi.input"].read().decode("latin-1"),
            "handler": environ.get("mod_wsgi.request_handler", ""),
        }
        body = json.dumps(facts).encode()
        if not any(header[0] == "Content-Length" for header in headers):
            headers.append(("Content-Length", str(len(body))))
        start_response(asked.get("status", ["200 OK"])[0], headers)
        return [body]

    return served


def umask():
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


application = serves("application")
app = serves("app")
handle_request = serves("handle_request")


def allow_access(environ, host):
    return "private" not in environ["REQUEST_URI"]


def check_password(environ, user, password):
    return PASSWORDS[user] == password if user in PASSWORDS else None


def groups_for_user(environ, user):
    return GROUPS.get(user, [])


def process_group(environ):
    return {"a.tenants.example": "tenant-a", "b.tenants.example": "tenant-b"}.get(environ["HTTP_HOST"])
