//! What an application finds in its environ (PEP 3333 and the peer's additions).

use std::collections::BTreeMap;

use harness::{Httpd, PROBE, Site};
use serde_json::json;

#[test]
fn the_request_line_is_in_the_environ() {
    let site = Httpd::probe("");
    let wanted = "[environ[k] for k in ('REQUEST_METHOD', 'PATH_INFO', 'SERVER_PROTOCOL')]";
    assert_eq!(site.ask_at("/a%20b/%C3%A9", wanted), json!(["GET", "/a b/\u{c3}\u{a9}", "HTTP/1.1"]));
    assert_eq!(site.ask("environ['QUERY_STRING'] == environ['REQUEST_URI'].split('?')[1]"), true);
    site.finish();
}

#[test]
fn server_and_client_are_in_the_environ() {
    let site = Httpd::probe("");
    let wanted = "[environ[k] for k in ('SERVER_NAME', 'SERVER_PORT', 'REMOTE_ADDR', 'REQUEST_SCHEME')]";
    // SERVER_NAME is the configured one unless UseCanonicalName is off, which is the default: then it is the client's.
    let port = site.port().to_string();
    assert_eq!(site.ask(wanted), json!(["127.0.0.1", port, "127.0.0.1", "http"]));
    assert_eq!(site.ask("environ['REMOTE_PORT'].isdigit()"), true);
    assert_eq!(site.ask("environ['DOCUMENT_ROOT']"), site.root().join("htdocs").display().to_string());
    assert_eq!(site.ask("environ['SCRIPT_FILENAME']"), site.root().join("apps/site.wsgi").display().to_string());
    site.finish();
}

#[test]
fn the_scheme_of_server_name_is_that_of_the_request() {
    for (name, scheme) in [("https://localhost", "https"), ("http://localhost", "http"), ("localhost", "http")] {
        let site = Httpd::both_modes("", PROBE).conf(&format!("ServerName {name}")).start();
        for mode in harness::MODES {
            let schemes = site.ask_at(mode, "[environ['wsgi.url_scheme'], environ['REQUEST_SCHEME']]");
            assert_eq!(schemes, json!([scheme, scheme]), "{mode} {name}");
        }
        site.finish();
    }
}

#[test]
fn request_headers_become_http_variables() {
    let site = Httpd::probe("");
    let ask = |headers: &[&str], expression: &str| {
        let mut client = site.client();
        let path = format!("/?{}", expression.replace(' ', "%20"));
        let answer = client.exchange("GET", &path, headers, b"").expect("an answer");
        serde_json::from_slice::<serde_json::Value>(&answer.body).expect("JSON")
    };
    assert_eq!(ask(&["X-Colour: dark blue"], "environ['HTTP_X_COLOUR']"), "dark blue");
    assert_eq!(ask(&["X-Two: a", "X-Two: b"], "environ['HTTP_X_TWO']"), "a, b");
    assert_eq!(ask(&["Content-Type: text/x-test"], "environ['CONTENT_TYPE']"), "text/x-test");
    assert_eq!(ask(&["Proxy: http://evil.example"], "'HTTP_PROXY' in environ"), false, "CVE-2016-5385");
    assert_eq!(ask(&["X_Colour: spoofed"], "'HTTP_X_COLOUR' in environ"), false, "an underscore is not a hyphen");
    assert_eq!(
        ask(&["Authorization: Basic eDp5"], "'HTTP_AUTHORIZATION' in environ"),
        false,
        "only where it is passed on"
    );
    site.finish();
}

#[test]
fn headers_of_other_requests_leave_no_trace() {
    // More names than keys are kept, the same ones with other values, and some that differ in a byte.
    let site = Httpd::both_modes("", PROBE).start();
    let wanted = "{k: v for k, v in environ.items() if k.startswith('HTTP_X_')}";
    for (mode, round) in harness::MODES.iter().flat_map(|mode| (0..20).map(move |round| (mode, round))) {
        let named = |n: usize| (format!("X-{}-{}", n % 40, round % 10 + n / 40 * 10), format!("{mode} {round} {n}"));
        let headers: Vec<_> = (0..80).map(named).collect();
        let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let path = format!("{mode}?{}", wanted.replace(' ', "%20"));
        let answer = site.client().exchange("GET", &path, &lines, b"").expect("an answer");
        let found: BTreeMap<String, String> = serde_json::from_str(&answer.text()).expect("JSON");
        let sent = headers.iter().map(|(name, value)| (format!("HTTP_{}", name.replace('-', "_")), value.clone()));
        assert_eq!(found, sent.collect(), "{mode}, round {round}");
    }
    site.finish();
}

#[test]
fn authorization_is_passed_on_where_the_alias_says_so() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess site\nWSGIScriptAlias / {apps}/site.wsgi process-group=site pass-authorization=On")
        .app("site.wsgi", PROBE)
        .start();
    let answer = site.request("GET", "/?environ['HTTP_AUTHORIZATION']", &[("Authorization", "Basic eDp5")], b"");
    assert_eq!(answer.json(), "Basic eDp5");
    site.finish();
}

#[test]
fn variables_of_the_configuration_are_in_the_environ() {
    let site =
        Httpd::site("", PROBE).conf("SetEnv COLOUR \"dark blue\"\nSetEnvIf Request_Method GET READS=yes").start();
    assert_eq!(site.ask("[environ['COLOUR'], environ['READS']]"), json!(["dark blue", "yes"]));
    site.finish();
}

#[test]
fn wsgi_variables_say_how_the_application_is_run() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess one threads=1\nWSGIDaemonProcess many processes=2 threads=3")
        .conf("WSGIScriptAlias /one {apps}/probe.wsgi process-group=one")
        .conf("WSGIScriptAlias /many {apps}/probe.wsgi process-group=many")
        .app("probe.wsgi", PROBE)
        .start();
    let wanted = "[environ['wsgi.' + k] for k in ('version', 'url_scheme', 'multithread', 'multiprocess', 'run_once')]";
    assert_eq!(site.ask_at("/one", wanted), json!([[1, 0], "http", false, false, false]));
    assert_eq!(site.ask_at("/many", wanted), json!([[1, 0], "http", true, true, false]));
    assert_eq!(site.ask_at("/one", "environ['wsgi.input_terminated']"), true);
    site.finish();
}

#[test]
fn mod_wsgi_variables_name_the_groups_and_times() {
    let site = Httpd::probe("");
    let wanted = "[environ['mod_wsgi.' + k] for k in ('process_group', 'application_group', 'callable_object')]";
    assert_eq!(site.ask(wanted), json!(["site", "", "application"]));
    assert_eq!(site.ask("0 <= time.time() - environ['mod_wsgi.request_start'] < 30"), true);
    assert_eq!(site.ask("environ['mod_wsgi.request_start'] <= environ['mod_wsgi.application_start']"), true);
    site.finish();
}

#[test]
fn the_page_of_the_documentation_has_every_key() {
    let page = std::fs::read_to_string(harness::repository().join("docs/environ.md")).expect("the page");
    let site = Httpd::both_modes("", PROBE).conf("WSGIPassApacheRequest On").start();
    for mode in harness::MODES {
        let keys = site.ask_at(mode, "sorted(k for k in environ if not k.startswith('HTTP_'))");
        let keys: Vec<&str> = keys.as_array().expect("a list").iter().filter_map(|key| key.as_str()).collect();
        assert!(keys.contains(&"wsgi.input"), "{keys:?}");
        let missing: Vec<_> = keys.iter().filter(|key| !page.contains(&format!("| `{key}` |"))).collect();
        assert!(missing.is_empty(), "{mode}: {missing:?} are not in docs/environ.md");
    }
    site.finish();
}

#[test]
fn every_value_is_a_string_and_the_dictionary_is_the_applications_own() {
    let site = Httpd::probe("threads=1");
    assert_eq!(site.ask("type(environ) is dict"), true);
    let odd =
        "[k for k, v in environ.items() if not k.startswith(('wsgi.', 'mod_wsgi.', 'apache.')) and type(v) is not str]";
    assert_eq!(site.ask(odd), json!([]));
    assert_eq!(site.ask("environ.update(LEFT='over') or environ.pop('SERVER_NAME')"), "127.0.0.1");
    assert_eq!(site.ask("['LEFT' in environ, 'SERVER_NAME' in environ]"), json!([false, true]));
    site.finish();
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let site = Httpd::probe("");
    let mut client = site.client();
    let head = client.exchange("HEAD", "/?1", &[], b"").expect("an answer");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(client.exchange("GET", "/?2", &[], b"").expect("an answer").text(), "2", "the connection stays usable");
    site.finish();
}
