//! `WSGIScriptAlias`: which application answers a request, and in which groups.

use harness::{Httpd, PROBE, Site};

/// Applications at several mount points, each in the daemon group `site`.
fn mounted(aliases: &str) -> Httpd {
    Httpd::builder()
        .conf("WSGIDaemonProcess site threads=2\nWSGIProcessGroup site")
        .conf(aliases)
        .app("outer.wsgi", PROBE)
        .app("inner.wsgi", PROBE)
        .file("htdocs/page.txt", "a static file")
        .start()
}

const WHERE: &str = "[environ['SCRIPT_NAME'], environ['PATH_INFO'], os.path.basename(__file__)]";

#[test]
fn the_mount_point_is_script_name_and_the_rest_is_path_info() {
    let site = mounted("WSGIScriptAlias /shop {apps}/outer.wsgi");
    assert_eq!(site.ask_at("/shop", WHERE), serde_json::json!(["/shop", "", "outer.wsgi"]));
    assert_eq!(site.ask_at("/shop/", WHERE), serde_json::json!(["/shop", "/", "outer.wsgi"]));
    assert_eq!(site.ask_at("/shop/cart/7", WHERE), serde_json::json!(["/shop", "/cart/7", "outer.wsgi"]));
    site.finish();
}

#[test]
fn a_mount_at_the_root_has_an_empty_script_name() {
    let site = mounted("WSGIScriptAlias / {apps}/outer.wsgi");
    assert_eq!(site.ask_at("/cart", WHERE), serde_json::json!(["", "/cart", "outer.wsgi"]));
    site.finish();
}

#[test]
fn the_first_alias_that_matches_wins_so_inner_mounts_come_first() {
    let site = mounted("WSGIScriptAlias /shop/admin {apps}/inner.wsgi\nWSGIScriptAlias /shop {apps}/outer.wsgi");
    assert_eq!(site.ask_at("/shop/admin/users", WHERE), serde_json::json!(["/shop/admin", "/users", "inner.wsgi"]));
    assert_eq!(site.ask_at("/shop/administrator", WHERE), serde_json::json!(["/shop", "/administrator", "outer.wsgi"]));
    site.finish();
}

#[test]
fn a_mount_point_matches_whole_path_segments_only() {
    let site = mounted("WSGIScriptAlias /shop {apps}/outer.wsgi");
    assert_eq!(site.get("/shopping").status, 404);
    assert_eq!(site.get("/page.txt").text(), "a static file");
    site.finish();
}

#[test]
fn an_alias_to_a_directory_runs_the_script_that_the_path_names() {
    let site = mounted("WSGIScriptAlias /apps/ {apps}/");
    site.log.expect(&["WSGI0135: the script does not exist or cannot be read"]);
    assert_eq!(site.ask_at("/apps/inner.wsgi/x", WHERE), serde_json::json!(["/apps/inner.wsgi", "/x", "inner.wsgi"]));
    assert_eq!(site.get("/apps/missing.wsgi").status, 404);
    site.finish();
}

#[test]
fn a_plain_alias_beside_the_application_serves_files() {
    let site = mounted("Alias /static {root}/htdocs\nWSGIScriptAlias / {apps}/outer.wsgi");
    assert_eq!(site.get("/static/page.txt").text(), "a static file");
    assert_eq!(site.ask_at("/other", "1"), 1);
    site.finish();
}

#[test]
fn options_of_an_alias_choose_group_interpreter_and_callable() {
    let named = r#"
import os

def answer(environ, start_response):
    groups = environ["mod_wsgi.process_group"], environ["mod_wsgi.application_group"], environ["mod_wsgi.callable_object"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {groups}".encode()]
"#;
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess one\nWSGIDaemonProcess two")
        .conf(
            "WSGIScriptAlias /1 {apps}/named.wsgi process-group=one application-group=%{GLOBAL} callable-object=answer",
        )
        .conf("WSGIScriptAlias /2 {apps}/named.wsgi process-group=two application-group=sub callable-object=answer")
        .app("named.wsgi", named)
        .start();
    let (one, two) = (site.get("/1").text(), site.get("/2").text());
    assert!(one.ends_with("('one', '', 'answer')"), "{one}");
    assert!(two.ends_with("('two', 'sub', 'answer')"), "{two}");
    assert_ne!(one.split(' ').next(), two.split(' ').next(), "two groups, two processes");
    site.finish();
}

#[test]
fn directives_choose_group_and_callable_where_the_alias_does_not() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess one\nWSGIProcessGroup one\nWSGIApplicationGroup %{GLOBAL}\nWSGICallableObject probe")
        .conf("WSGIScriptAlias / {apps}/probe.wsgi")
        .app("probe.wsgi", &PROBE.replace("def application", "def probe"))
        .start();
    assert_eq!(site.ask("environ['mod_wsgi.process_group']"), "one");
    assert_eq!(site.ask("environ['mod_wsgi.callable_object']"), "probe");
    site.finish();
}

#[test]
fn a_script_that_is_missing_is_a_404_and_a_missing_callable_an_error() {
    let site = mounted(
        "WSGIScriptAlias /missing {apps}/missing.wsgi\nWSGIScriptAlias /other {apps}/outer.wsgi callable-object=nobody",
    );
    site.log.expect(&["WSGI0135: the script does not exist or cannot be read"]);
    assert_eq!(site.get("/missing").status, 404);
    assert_eq!(site.get("/other").status, 500);
    site.log.wait_for("nobody");
    site.finish();
}

#[test]
fn restrict_embedded_refuses_what_has_no_daemon() {
    let site = Httpd::builder()
        .conf("WSGIRestrictEmbedded On\nWSGIDaemonProcess site")
        .conf("WSGIScriptAlias /daemon {apps}/probe.wsgi process-group=site")
        .conf("WSGIScriptAlias /embedded {apps}/probe.wsgi")
        .app("probe.wsgi", PROBE)
        .start();
    site.log.expect(&["WSGI0143: WSGIRestrictEmbedded forbids embedded mode"]);
    assert_eq!(site.ask_at("/daemon", "1"), 1);
    assert_eq!(site.get("/embedded?1").status, 500);
    site.finish();
}

#[test]
fn a_virtual_host_has_mounts_of_its_own() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess site\nWSGIProcessGroup site")
        .conf("<VirtualHost *:{port}>\nServerName a.example\nWSGIScriptAlias / {apps}/a.wsgi\n</VirtualHost>")
        .conf("<VirtualHost *:{port}>\nServerName b.example\nWSGIScriptAlias / {apps}/b.wsgi\n</VirtualHost>")
        .app("a.wsgi", PROBE)
        .app("b.wsgi", PROBE)
        .start();
    for name in ["a", "b"] {
        let host = format!("{name}.example");
        let answer = site.request("GET", "/?os.path.basename(__file__)", &[("Host", &host)], b"");
        assert_eq!(answer.json(), format!("{name}.wsgi"));
    }
    site.finish();
}
