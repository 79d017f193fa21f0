"""The common pages, with Falcon."""

from wsgiref.validate import validator

import falcon


class Hello:
    def on_get(self, request, answer, name):
        answer.content_type, answer.text = "text/plain; charset=utf-8", f"Hello, {name}!"
        answer.set_cookie("first", "1")
        answer.set_cookie("second", "2")

    on_head = on_get


class Echo:
    def on_post(self, request, answer):
        answer.content_type, answer.data = "application/octet-stream", request.bounded_stream.read()


class Upload:
    def on_post(self, request, answer):
        told = {}
        for part in request.get_media():
            if part.name == "file":
                told |= {"name": part.filename, "size": len(part.stream.read())}
            else:
                told[part.name] = part.text
        answer.media = told


class Stream:
    def on_get(self, request, answer):
        answer.content_type, answer.stream = "text/plain", (f"{n}\n".encode() for n in range(100))


site = falcon.App()
for pattern, resource in [("/hello/{name}", Hello()), ("/echo", Echo()), ("/upload", Upload()), ("/stream", Stream())]:
    site.add_route(pattern, resource)
application = validator(site)
