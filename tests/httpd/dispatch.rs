//! Scripts that choose where requests run.

use harness::{Builder, Httpd, PROBE, Site};
use serde_json::json;

/// Where a script is asked.
const PLACES: [&str; 2] = ["", " process-group=red"];

/// Where the application runs.
const WHERE: &str =
    "[environ['mod_wsgi.process_group'],environ['mod_wsgi.application_group'],environ['mod_wsgi.callable_object']]";

fn server(place: &str) -> Builder {
    Httpd::builder()
        .conf("WSGIDaemonProcess red\nWSGIDaemonProcess blue\nWSGIDaemonProcess green\nWSGIApplicationGroup usual")
        .conf(&format!("WSGIDispatchScript {{apps}}/dispatch.py{place}"))
        .conf("WSGIScriptAlias / {apps}/probe.wsgi process-group=green\nSetEnv TENANT blue")
        .app("probe.wsgi", &format!("{PROBE}\nother = application\n"))
}

#[test]
fn a_script_chooses_group_interpreter_and_callable_for_each_request() {
    const SCRIPT: &str = r#"
def process_group(environ):
    assert "wsgi.input" not in environ and "mod_wsgi.callable_object" not in environ and environ["TENANT"] == "blue"
    return {"/red": "red", "/blue": b"blue", "/here": "%{GLOBAL}", "/variable": "%{ENV:TENANT}"}.get(environ["PATH_INFO"])
def application_group(environ):
    if environ["PATH_INFO"] == "/red":
        return "of-" + environ["mod_wsgi.process_group"]
    if environ["PATH_INFO"] == "/method":
        return "%{ENV:REQUEST_METHOD}"
def callable_object(environ):
    return "other" if environ["PATH_INFO"] == "/blue" else None
"#;
    for place in PLACES {
        let site = server(place).app("dispatch.py", SCRIPT).start();
        for (path, expected) in [
            ("/red", ["red", "of-red", "application"]),
            ("/blue", ["blue", "usual", "other"]),
            ("/here", ["", "usual", "application"]),
            ("/variable", ["blue", "usual", "application"]),
            ("/method", ["green", "GET", "application"]),
            ("/other", ["green", "usual", "application"]),
        ] {
            assert_eq!(site.ask_at(path, WHERE), json!(expected), "{place} {path}: {}", site.log.text());
        }
        site.write("apps/dispatch.py", "def process_group(environ):\n    return 'red'\n");
        assert_eq!(site.ask_at("/blue", WHERE)[0], "red", "{place}: a changed script counts at once");
        site.finish();
    }
}

#[test]
fn a_request_for_which_nothing_is_chosen_runs_nowhere() {
    for place in PLACES {
        for (script, said) in [
            ("def process_group(environ):\n    return 1/0\n", "ZeroDivisionError"),
            ("def process_group(environ):\n    return 42\n", "must return a string, bytes or None, not int"),
            ("def callable_object(environ):\n    return 'a\\0b'\n", "has a control character"),
            ("def process_group(environ):\n    return 'nowhere'\n", "process group `nowhere` is not defined"),
            ("import no_such_module\n", "No module named 'no_such_module'"),
        ] {
            let site = server(place).app("dispatch.py", script).start();
            let answer = site.get("/?1");
            assert_eq!((answer.status, answer.text() == "1"), (500, false), "{place} {script}");
            site.log.wait_for(said);
            site.finish();
        }
        let site = server(place).start();
        site.log.expect(&["WSGI0105: …dispatch.py' cannot be read"]);
        assert_eq!(site.get("/?1").status, 500, "{place}: there is no script");
        site.finish();
    }
}

#[test]
fn what_a_script_chooses_is_restricted_like_what_is_configured() {
    let site = server("")
        .conf("WSGIRestrictProcess red green")
        .app("dispatch.py", "def process_group(environ):\n    return environ['PATH_INFO'][1:]\n")
        .start();
    assert_eq!(site.ask_at("/red", WHERE)[0], "red");
    assert_eq!(site.get("/blue?1").status, 500);
    site.log.wait_for("WSGI0149: WSGIRestrictProcess does not allow process group `blue` here");
    site.finish();
}

#[test]
fn where_no_python_may_be_in_apache_the_script_runs_in_the_group_for_it() {
    let site = server("")
        .conf("WSGIRestrictEmbedded On")
        .app("dispatch.py", "def process_group(environ):\n    return 'blue' if environ['mod_wsgi.process_group'] == 'wsgi-access' else 'red'\n")
        .start();
    assert_eq!(site.ask(WHERE)[0], "blue");
    site.finish();
}
