//! Applications that many tests use.

/// Says hello to whoever asks.
pub const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"#;

/// Answers the JSON value of the Python expression in the query string; see [`Site::ask`](crate::Site::ask).
pub const PROBE: &str = r#"
import json, os, sys, threading, time, urllib.parse

kept = {}

def application(environ, start_response):
    expression = urllib.parse.unquote(environ["QUERY_STRING"])
    body = json.dumps(eval(expression, globals() | {"environ": environ}), default=repr).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"#;
