"""A directory of this process, over WebDAV."""

import tempfile
import warnings
from wsgiref.validate import validator

from wsgidav.wsgidav_app import WsgiDAVApp

# The validator does not know the methods of WebDAV.
warnings.filterwarnings("ignore", "Unknown REQUEST_METHOD")
directory = tempfile.TemporaryDirectory()
application = validator(WsgiDAVApp({
    "provider_mapping": {"/": directory.name},
    "simple_dc": {"user_mapping": {"*": True}},
    "http_authenticator": {"domain_controller": None},
    "logging": {"enable": False},
    "verbose": 0,
}))
