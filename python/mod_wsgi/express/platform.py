"""Where the Apache module is, for programs that write a configuration of their own."""

from .facts import module_path

MOD_WSGI_SO = module_path()
