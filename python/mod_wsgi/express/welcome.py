"""The application of a server for which none was named: it shows that the installation works, and what to do next."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>It works</title>
<style>
:root { color-scheme: light dark }
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 12vh auto; padding: 0 1.5rem }
h1 { font-size: 2rem; font-weight: 600; margin: 0 0 1rem }
pre { background: #8882; border-radius: .4rem; padding: .8rem 1rem; overflow-x: auto; font-size: .9rem }
</style>
</head>
<body>
<h1>It works</h1>
<p>Apache and Python talk to each other. No application has been named yet, so this page answers.</p>
<p>A script with a WSGI callable named <code>application</code>:</p>
<pre>mod_wsgi-express start-server app.wsgi</pre>
<p>A module, such as the one of a Django or Flask project:</p>
<pre>mod_wsgi-express start-server --application-type module mysite.wsgi</pre>
<p>A Django project with <code>"mod_wsgi.express"</code> in <code>INSTALLED_APPS</code>:</p>
<pre>python manage.py runmodwsgi</pre>
<p>All options:</p>
<pre>mod_wsgi-express start-server --help</pre>
</body>
</html>
""".encode()


def application(environ, start_response):
    """The page, at every URL that is no file."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))])
    return [PAGE]
