//! The daemons' sockets: who connects, and what is said where somebody cannot.

use harness::{HELLO, Httpd, Mpm, ORDINARY_USER, PROBE, Site, cannot_run, is_root};

/// Another user than Apache's.
const OTHER: &str = "games";

fn cannot(case: &str, needs: bool, what: &str) -> bool {
    if !needs {
        cannot_run(case, what);
    }
    !needs
}

#[test]
fn a_socket_that_apaches_user_may_not_connect_to_is_named_with_both_users_and_the_cure() {
    let case = "a_socket_that_apaches_user_may_not_connect_to_is_named_with_both_users_and_the_cure";
    if cannot(case, is_root(), "needs root") {
        return;
    }
    let server = Httpd::site(&format!("socket-user={OTHER} connect-timeout=1"), HELLO).start();
    assert_eq!(server.get("/").status, 503);
    let log = server.log.wait_for("WSGI1015: cannot connect to the processes of the group");
    for text in ["run/wsgi.", &format!("is for {OTHER} (uid"), &format!("runs as {ORDINARY_USER} (uid"), "socket-user"]
    {
        assert!(log.contains(text), "{text:?} is not in {log}");
    }
    server.finish();
    let server = Httpd::builder()
        .app("site.wsgi", HELLO)
        .file("private/keep", "")
        .conf(
            "WSGISocketPrefix {root}/private/wsgi\nWSGIDaemonProcess site connect-timeout=1\n\
             WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}",
        )
        .start();
    let private = server.root().join("private");
    std::fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("changed");
    assert_eq!(server.get("/").status, 503);
    let log = server.log.wait_for("may not enter a directory above the socket");
    assert!(log.contains("WSGISocketPrefix") && log.contains(ORDINARY_USER), "{log}");
    server.finish();
}

#[test]
fn children_that_take_the_user_of_their_virtual_host_connect_as_that() {
    let case = "children_that_take_the_user_of_their_virtual_host_connect_as_that";
    if cannot(case, is_root() && Mpm::Itk.is_there(), "needs root and mpm_itk (Debian: libapache2-mpm-itk)") {
        return;
    }
    let server = Httpd::builder()
        .mpm(Mpm::Itk)
        .app("site.wsgi", PROBE)
        .conf(&format!(
            "AssignUserID {OTHER} {OTHER}\n\
             WSGIDaemonProcess own user={OTHER} group={OTHER}\n\
             WSGIDaemonProcess given user=news group=news socket-user={OTHER} processes=2\n\
             WSGIScriptAlias /own {{apps}}/site.wsgi process-group=own application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias /embedded {{apps}}/site.wsgi application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias /given {{apps}}/site.wsgi process-group=given application-group=%{{GLOBAL}}"
        ))
        .start();
    for _ in 0..20 {
        assert_eq!(server.ask_at("/own", "os.popen('id -un').read().strip()"), OTHER);
        assert_eq!(server.ask_at("/given", "os.popen('id -un').read().strip()"), "news");
        assert_eq!(server.ask_at("/embedded", "os.popen('id -un').read().strip()"), OTHER);
    }
    let log = server.log.text();
    assert!(!log.contains("WSGI1412: ") && !log.contains("WSGI1302: "), "{log}");
    server.finish();
}

#[test]
fn a_locale_that_the_system_does_not_have_is_named_once() {
    let server = Httpd::site("locale=xx_YY.UTF-8 lang=xx_YY.UTF-8 processes=2", HELLO)
        .conf("WSGIDaemonProcess right locale=C.UTF-8 lang=C")
        .start();
    assert_eq!(server.get("/").text(), "hello");
    let records = server.log.records_with("WSGI0079: ");
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(records[0].contains("locale=xx_YY.UTF-8 of WSGIDaemonProcess site"), "{records:?}");
    server.finish();
}

#[test]
fn what_a_proxy_gives_for_the_client_is_an_address_or_nothing() {
    let server = Httpd::site("", PROBE).log_level("wsgi:debug").conf("WSGITrustedProxyHeaders X-Forwarded-For").start();
    let seen = |value: &str| {
        let answer = server.request("GET", "/?environ['REMOTE_ADDR']", &[("X-Forwarded-For", value)], b"");
        answer.json().as_str().expect("text").to_owned()
    };
    assert_eq!(seen("192.0.2.7"), "192.0.2.7");
    assert_eq!(seen("<script>"), "127.0.0.1");
    server.log.wait_for("'<script>', which a proxy's header gives for the client, is no IP address");
    server.log.wait_for("WSGI1101: WSGITrustedProxyHeaders without WSGITrustedProxies");
    server.finish();
    let server = Httpd::site("", PROBE)
        .conf(
            "WSGITrustedProxyHeaders X-Forwarded-For\n<IfModule mod_mime.c>\nWSGITrustedProxies 127.0.0.1\n</IfModule>",
        )
        .start();
    assert_eq!(server.ask("environ['REMOTE_ADDR']"), "127.0.0.1");
    assert!(!server.log.text().contains("WSGI1101: "), "{}", server.log.text());
    server.finish();
}
