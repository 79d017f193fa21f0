"""The demo: a small Django site with an admin, a database, static files, uploads and a chat."""
