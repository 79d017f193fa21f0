//! The variables of a request are there for Apache's own log and headers, and for documents that stand in for a
//! response.

use harness::{Httpd, Log, MODES, Site};

/// Answers with the status that the query string says, with a URL in place of the page where that is asked for, and
/// shows what it was redirected from.
const ANSWERS: &str = r#"
import json
def application(environ, start_response):
    kind, _, value = environ["QUERY_STRING"].partition("=")
    headers = [("Content-Type", "application/json")]
    if kind == "fail":
        raise RuntimeError("as the test wants it")
    if kind == "to":
        headers.append(("Location", value))
    start_response(value + " Other" if kind == "status" else "200 OK", headers)
    shown = {name: text for name, text in environ.items() if name.startswith("REDIRECT_")}
    return [json.dumps(shown).encode()]
"#;

#[test]
fn variables_of_a_request_are_there_for_logs_and_headers_that_ask_for_them() {
    let site = Httpd::both_modes("threads=2", ANSWERS)
        .conf(
            "LogFormat \"%{SCRIPT_NAME}e|%{PATH_INFO}e|%{mod_wsgi.process_group}e|%{http_x_colour}e|%{DOCUMENT_ROOT}e\" shop\n\
             CustomLog {root}/logs/access.log shop\n\
             CustomLog {root}/logs/posted.log \"%U\" \"expr=reqenv('REQUEST_METHOD') == 'POST'\"\n\
             CustomLog {root}/logs/queried.log \"%q\" env=QUERY_STRING\n\
             Header set X-Script %{SCRIPT_NAME}e\n\
             Header set X-Embedded yes \"expr=-z reqenv('mod_wsgi.process_group')\"",
        )
        .expect_log(&["as the test wants it"])
        .start();
    for mode in MODES {
        let answer = site.request("GET", &format!("{mode}/a?b"), &[("X-Colour", "blue")], b"");
        assert_eq!(answer.header("x-script"), Some(mode), "{mode}");
        assert_eq!(answer.header("x-embedded").is_some(), mode == "/embedded", "{mode}");
        let failed = site.request("POST", &format!("{mode}/fail?fail"), &[], b"body");
        assert_eq!((failed.status, failed.header("x-script")), (500, None), "{mode}: Apache's own page");
    }
    let log = Log::new(site.root().join("logs/access.log"));
    // DOCUMENT_ROOT is the server's, with or without the application.
    let root = site.root().join("htdocs").display().to_string();
    log.wait_for(&format!("/daemon|/a|site|blue|{root}\n"));
    log.wait_for(&format!("/daemon|/fail|site|-|{root}\n"));
    log.wait_for(&format!("/embedded|/a||blue|{root}\n"));
    log.wait_for(&format!("/embedded|/fail||-|{root}\n"));
    let posted = Log::new(site.root().join("logs/posted.log"));
    posted.wait_for("/embedded/fail\n");
    assert_eq!(posted.text(), "/daemon/fail\n/embedded/fail\n");
    Log::new(site.root().join("logs/queried.log")).wait_for("?b\n");
    site.finish();
}

#[test]
fn variables_of_a_request_are_there_where_htaccess_asks_for_them() {
    let site = Httpd::both_modes("threads=2", ANSWERS)
        .file("apps/.htaccess", "Header set X-Script %{SCRIPT_NAME}e")
        .conf("<Directory {apps}>\nAllowOverride FileInfo\n</Directory>")
        .start();
    for mode in MODES {
        assert_eq!(site.get(&format!("{mode}/a")).header("x-script"), Some(mode));
    }
    site.finish();
}

#[test]
fn what_stands_in_for_a_response_sees_the_variables_of_its_request() {
    let site = Httpd::both_modes("threads=2", ANSWERS)
        .conf(
            "ErrorDocument 500 /daemon/sorry\nErrorDocument 404 \"nothing here\"\nErrorDocument 410 /embedded/gone\n\
             <Location /daemon>\nWSGIErrorOverride On\n</Location>",
        )
        .expect_log(&["as the test wants it"])
        .start();
    let shown = |method: &str, path: &str, name: &str| {
        let answer = site.request(method, path, &[("X-Colour", "blue")], b"body");
        answer.json()[format!("REDIRECT_{name}")].as_str().map(str::to_owned)
    };
    for mode in MODES {
        let path = &*format!("{mode}/a?fail");
        for (name, value) in [
            ("SCRIPT_NAME", mode),
            ("PATH_INFO", "/a"),
            ("REQUEST_METHOD", "POST"),
            ("HTTP_X_COLOUR", "blue"),
            ("CONTENT_LENGTH", "4"),
            ("URL", path.split('?').next().expect("a path")),
            ("STATUS", "500"),
            ("mod_wsgi.application_group", ""),
        ] {
            assert_eq!(shown("POST", path, name).as_deref(), Some(value), "{mode} {name}");
        }
    }
    // An error page of the application's own that Apache's takes the place of, and a URL that takes the place of a
    // response.
    assert_eq!(shown("GET", "/daemon/a?status=410", "SCRIPT_NAME").as_deref(), Some("/daemon"));
    assert_eq!(shown("GET", "/daemon/a?to=/embedded/b", "PATH_INFO").as_deref(), Some("/a"));
    assert_eq!(site.get("/daemon/a?status=404").text(), "nothing here");
    site.finish();
}
