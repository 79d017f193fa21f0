//! The life of a process that speaks ASGI: what it serves, lifespan, time-outs, its end.

use crate::asgi::{APP, site};
use harness::{Httpd, PROBE, Site, alive, eventually, in_time};
use serde_json::json;
use std::time::Duration;

fn pid(site: &Httpd) -> u32 {
    site.get("/pid").text().parse().expect("a pid")
}

/// The processes whose application has been told of their end.
fn stopped(site: &Httpd) -> Vec<u32> {
    let log = site.log.wait_for("stopped in order");
    let pids = log.split("stopped in order ").skip(1);
    pids.map(|rest| rest.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a pid")).collect()
}

/// An application whose lifespan does this, and which answers with its state.
fn lifespan(body: &str) -> String {
    format!(
        r#"
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
{body}
        return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": repr(scope["state"]).encode()}})
"#
    )
}

#[test]
fn state_of_the_start_is_in_each_scope_and_changes_stay_in_their_request() {
    let mut site = site("");
    for _ in 0..2 {
        assert_eq!(site.get("/state").json(), json!([["once"], ["own", "started"]]));
    }
    let pid = pid(&site);
    site.stop();
    assert_eq!(stopped(&site), [pid]);
}

#[test]
fn an_application_without_lifespan_is_served_unless_that_is_wanted() {
    let refuses = "async def application(scope, receive, send):\n    assert scope['type'] == 'http'\n    \
                   await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n    \
                   await send({'type': 'http.response.body', 'body': b'served'})\n";
    for options in ["", "lifespan=off"] {
        let site = Httpd::site(&format!("interface=asgi {options}"), refuses).start();
        assert_eq!(site.get("/").text(), "served", "{options}");
        site.finish();
    }
    let site = Httpd::site("interface=asgi lifespan=on", refuses).start();
    site.log.expect(&["WSGI1216: …cannot start (lifespan)"]);
    assert_eq!(site.get("/").status, 500);
    site.finish();
}

#[test]
fn a_process_that_cannot_start_does_not_take_the_place_of_one_that_serves() {
    let good =
        lifespan("        scope['state']['version'] = 1\n        await send({'type': 'lifespan.startup.complete'})");
    let bad = lifespan("        await send({'type': 'lifespan.startup.failed', 'message': 'no database'})");
    let site = Httpd::site("interface=asgi", &good).start();
    site.log.expect(&["WSGI1216: …cannot start (lifespan)", "WSGI1308: …cannot load its scripts"]);
    assert_eq!(site.get("/").text(), "{'version': 1}");
    site.write("apps/site.wsgi", &bad);
    site.get("/");
    let log = site.log.wait_for("no database");
    assert!(log.contains("The application 'application' in"), "{log}");
    assert_eq!(site.get("/").text(), "{'version': 1}", "the earlier process serves on");
    site.write("apps/site.wsgi", &good.replace("= 1", "= 2"));
    let new = || (site.get("/").text() == "{'version': 2}").then_some(());
    assert!(eventually(in_time(Duration::from_secs(20)), new).is_some(), "{}", site.log.text());
    site.finish();
}

#[test]
fn several_scripts_share_a_process_and_each_has_its_own_lifespan() {
    let site = Httpd::builder()
        .app(
            "one.wsgi",
            &lifespan(
                "        scope['state']['name'] = 'one'\n        await send({'type': 'lifespan.startup.complete'})",
            ),
        )
        .app(
            "scripts/two.wsgi",
            &lifespan(
                "        scope['state']['name'] = 'two'\n        await send({'type': 'lifespan.startup.complete'})",
            ),
        )
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias /one {apps}/one.wsgi process-group=site")
        .conf("WSGIScriptAlias /scripts {apps}/scripts process-group=site")
        .start();
    for _ in 0..2 {
        assert_eq!(site.get("/one").text(), "{'name': 'one'}");
        assert_eq!(site.get("/scripts/two.wsgi").text(), "{'name': 'two'}", "a request has brought it");
    }
    assert_eq!(site.processes().len(), site.processes().len());
    site.finish();
}

#[test]
fn each_interface_refuses_the_other_ones_applications_with_the_cure() {
    let wsgi = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n";
    let old = "def application(scope):\n    async def instance(receive, send):\n        pass\n    return instance\n";
    let site = Httpd::builder()
        .expect_log(&["stopped in order"])
        .app("asgi.py", APP)
        .app("wsgi.py", wsgi)
        .app("old.py", old)
        .conf("WSGIDaemonProcess asgi interface=asgi\nWSGIDaemonProcess wsgi\nWSGIDaemonProcess other interface=asgi")
        .conf("WSGIScriptAlias /asgi-in-wsgi {apps}/asgi.py process-group=wsgi")
        .conf("WSGIScriptAlias /asgi-in-apache {apps}/asgi.py")
        .conf("WSGIScriptAlias /wsgi-in-asgi {apps}/wsgi.py process-group=asgi")
        .conf("WSGIScriptAlias /old-in-asgi {apps}/old.py process-group=other")
        .start();
    site.log.expect(&[
        "WSGI1215: …is one of ASGI, and process group 'wsgi' speaks WSGI: give it a process group with interface=asgi",
    ]);
    site.log.expect(&["WSGI1215: …is one of ASGI, and embedded mode speaks WSGI"]);
    site.log.expect(&[
        "WSGI1213: …is one of WSGI, and process group 'asgi' speaks ASGI: give it a process group with interface=wsgi",
    ]);
    site.log.expect(&["WSGI1214: …is one of ASGI 2"]);
    for path in ["/asgi-in-wsgi/hello", "/asgi-in-apache/hello", "/wsgi-in-asgi", "/old-in-asgi"] {
        assert_eq!(site.get(path).status, 500, "{path}");
    }
    site.finish();
}

#[test]
fn a_group_that_leaves_it_open_speaks_what_its_scripts_do() {
    let site = Httpd::builder()
        .expect_log(&["stopped in order"])
        .app("asgi.py", APP)
        .app("wsgi.py", PROBE)
        .conf("WSGIDaemonProcess one interface=auto\nWSGIDaemonProcess two interface=auto\nWSGIDaemonProcess three interface=auto")
        .conf("WSGIScriptAlias /asgi {apps}/asgi.py process-group=one")
        .conf("WSGIScriptAlias /wsgi {apps}/wsgi.py process-group=two")
        .start();
    assert_eq!(site.get("/asgi/hello").text(), "hello");
    assert_eq!(site.ask_at("/wsgi", "__import__('mod_wsgi').application_group"), "");
    site.finish();
}

#[test]
fn an_application_group_cannot_be_had_beside_an_event_loop() {
    let site = Httpd::builder()
        .expect_log(&["stopped in order"])
        .app("site.wsgi", APP)
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias /own {apps}/site.wsgi process-group=site application-group=own")
        .conf("WSGIScriptAlias /global {apps}/site.wsgi process-group=site application-group=%{GLOBAL}")
        .start();
    site.log.expect(&["WSGI1038: …application group `own` cannot be had there"]);
    assert_eq!(site.get("/own/hello").status, 500);
    assert_eq!(site.get("/global/hello").text(), "hello");
    site.finish();
}

#[test]
fn a_request_that_takes_too_long_is_cancelled_and_answered_504() {
    let site = site("request-timeout=1");
    let first = pid(&site);
    let (answer, took) = site.in_background("/sleep?20").join().expect("a thread");
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(took >= Duration::from_secs(1), "{took:?}");
    let log = site.log.wait_for("it has exceeded request-timeout");
    assert!(log.contains("asyncio.sleep") || log.contains("site.wsgi"), "where it was: {log}");
    assert_eq!(pid(&site), first, "the process goes on");
    site.finish();
}

#[test]
fn a_loop_that_is_stuck_is_found_out_with_its_stacks_and_its_process_replaced() {
    let site = site("deadlock-timeout=1 shutdown-timeout=1");
    site.log.expect(&["WSGI1307: …has not gone back to its event loop within deadlock-timeout=1"]);
    let first = pid(&site);
    let answer = site.get("/block?20");
    assert_eq!(answer.status, 502, "{answer:?}");
    let log = site.log.wait_for("WSGI1307: …has not gone back to its event loop");
    assert!(log.contains("site.wsgi\", line"), "where it was: {log}");
    assert_ne!(pid(&site), first);
    assert!(
        eventually(in_time(Duration::from_secs(10)), || (!alive(first)).then_some(())).is_some(),
        "it is still there"
    );
    site.finish();
}

#[test]
fn requests_finish_when_their_process_is_replaced() {
    let mut site = site("graceful-timeout=20");
    let first = pid(&site);
    let slow = site.in_background("/sleep?2");
    eventually(Duration::from_secs(10), || (site.get("/seen").json()["sleeps"] == 1).then_some(()))
        .expect("it has begun");
    site.signal(libc::SIGUSR1);
    let other = eventually(in_time(Duration::from_secs(20)), || Some(pid(&site)).filter(|new| *new != first));
    assert!(other.is_some(), "there is another one");
    assert_eq!(slow.join().expect("a thread").0.text(), first.to_string());
    assert!(
        eventually(in_time(Duration::from_secs(10)), || (!alive(first)).then_some(())).is_some(),
        "it is still there"
    );
    site.finish();
}

#[test]
fn what_does_not_finish_in_time_is_cancelled() {
    let mut site = site("graceful-timeout=1 shutdown-timeout=5");
    let first = pid(&site);
    let slow = site.in_background("/sleep?60");
    eventually(Duration::from_secs(10), || (site.get("/seen").json()["sleeps"] == 1).then_some(()))
        .expect("it has begun");
    site.signal(libc::SIGUSR1);
    assert_eq!(slow.join().expect("a thread").0.status, 503);
    assert!(
        eventually(in_time(Duration::from_secs(10)), || (!alive(first)).then_some(())).is_some(),
        "it is still there"
    );
    assert_eq!(stopped(&site), [first]);
    site.finish();
}

#[test]
fn a_changed_script_is_served_by_another_process() {
    let site = site("");
    let first = pid(&site);
    site.write("apps/site.wsgi", &format!("{APP}\n# changed\n"));
    assert_ne!(pid(&site), first);
    site.finish();
}

#[test]
fn a_client_that_is_gone_has_its_request_cancelled_where_that_is_wanted() {
    const WAITS: &str = r#"
import asyncio, sys
async def application(scope, receive, send):
    assert scope["type"] == "http"
    print("begun", scope["method"], file=sys.stderr)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled", scope["method"], file=sys.stderr)
        raise
"#;
    let site = Httpd::site("interface=asgi disconnect-grace=0", WAITS).start();
    // Of a body that is not all there the application has asked for nothing.
    for (method, headers) in
        [("GET", &[][..]), ("POST", &["Content-Length: 100000"]), ("PUT", &["Transfer-Encoding: chunked"])]
    {
        let mut client = site.client();
        client.send_head(method, "/", headers).expect("sent");
        site.log.wait_for(&format!("begun {method}"));
        if method != "GET" {
            client.send(b"5\r\nhello\r\n").expect("sent");
        }
        drop(client);
        site.log.wait_for(&format!("cancelled {method}"));
    }
    site.finish();
}

#[test]
fn a_script_that_decides_about_requests_is_not_asked_where_there_is_a_loop() {
    let site = Httpd::builder()
        .app("site.wsgi", APP)
        .app("gate.py", "def allow_access(environ, host):\n    return True\n")
        .conf("WSGIDaemonProcess site interface=auto")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .conf("<Location /hello>\nWSGIAccessScript {apps}/gate.py process-group=site\n</Location>")
        .expect_log(&["stopped in order"])
        .start();
    site.log.expect(&["WSGI1218: …has been asked for in a process that speaks ASGI"]);
    assert_eq!(site.get("/hello").status, 403);
    assert_eq!(site.get("/pid").status, 200);
    site.finish();
}
