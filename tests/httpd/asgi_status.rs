//! What the status tells of groups with event loops: their WebSockets, how late the loops come.

use harness::websocket::{CLOSE, TEXT, WebSocket, request};
use harness::{Httpd, Site};
use serde_json::json;

use crate::status::{LOCATION, wait_for};

const APP: &str = r#"
import asyncio, ctypes, time

async def application(scope, receive, send):
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        if path == "/refuse":
            return await send({"type": "websocket.close"})
        if path == "/fail":
            raise LookupError("before it is accepted")
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"] == "close":
                return await send({"type": "websocket.close", "code": 4000})
            await send({"type": "websocket.send", "text": message["text"]})
            await send({"type": "websocket.send", "text": "again"})
    elif scope["type"] == "http":
        if path == "/block":
            for _ in range(4):
                await asyncio.sleep(0.1)
                time.sleep(0.7)
        if path == "/scribble":
            scribble()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        if path == "/background":
            await asyncio.sleep(3)

def scribble():
    "Fills what the status reads of the group's pages with the largest numbers, but for what decides who gets requests."
    for line in open("/proc/self/maps"):
        if "memfd:mod_wsgi" in line and " rw-s " in line:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            for page in range(begin, min(end, begin + 4 * 4096), 4096):
                ctypes.memset(page + 144, 0xff, 4096 - 144)
"#;

fn site(options: &str) -> Httpd {
    Httpd::site(&format!("interface=asgi {options}"), APP).conf(LOCATION).start()
}

fn metrics(site: &Httpd) -> String {
    site.get("/wsgi-status?format=prometheus").text()
}

#[test]
fn websockets_are_counted_from_their_handshakes_to_their_ends() {
    let site = site("ws-origins=same");
    site.log.expect(&["LookupError: before it is accepted", "Exception processing '/fail'"]);
    let mut socket = WebSocket::open(site.port(), "/echo");
    socket.send(TEXT, b"hello");
    assert_eq!([socket.text(), socket.text()], ["hello", "again"]);
    wait_for(&site, "one is open", |group| {
        let (sockets, process) = (&group["websockets"], &group["processes"][0]["event_loop"]);
        group["interface"] == "asgi"
            && (&sockets["open"], &sockets["opened"]) == (&json!(1), &json!(1))
            && (&sockets["messages_in"], &sockets["messages_out"]) == (&json!(1), &json!(2))
            && process["websockets_open"] == 1
    });
    socket.close(1001);
    assert_eq!(socket.closed(), Some(1001));
    let mut told = WebSocket::open(site.port(), "/echo");
    told.send(TEXT, b"close");
    assert_eq!(told.message().map(|(opcode, _)| opcode), Some(CLOSE));
    drop(told);
    drop(WebSocket::open(site.port(), "/echo"));
    let refused = [
        (request("/refuse", &[]), 403),
        (request("/fail", &[]), 500),
        (request("/echo", &["Origin: http://evil.example"]), 403),
        (request("/echo", &[]).replace("Version: 13", "Version: 8"), 426),
    ];
    for (sent, status) in refused {
        let mut client = site.client();
        client.send(sent.as_bytes()).expect("sent");
        assert_eq!(client.status().expect("a status"), status, "{sent}");
    }
    wait_for(&site, "all have ended", |group| {
        let (closed, refused) = (&group["websockets"]["closed"], &group["websockets"]["refused"]);
        group["websockets"]["open"] == 0
            && ["1001", "4xxx", "1006"].iter().all(|code| closed[*code] == 1)
            && *refused == json!({"handshake": 1, "origin": 1, "limit": 0, "application": 1, "failed": 1})
    });
    let text = metrics(&site);
    for line in [
        r#"mod_wsgi_interface{group="site",interface="asgi"} 1"#,
        r#"mod_wsgi_websockets_open{group="site"} 0"#,
        r#"mod_wsgi_websockets_opened_total{group="site"} 3"#,
        r#"mod_wsgi_websockets_closed_total{group="site",code="1006"} 1"#,
        r#"mod_wsgi_websockets_refused_total{group="site",reason="origin"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        text.lines().any(|line| line.contains("websocket_messages_total") && line.ends_with(r#"direction="out"} 2"#))
    );
    site.finish();
}

#[test]
fn a_loop_that_is_kept_is_late() {
    let site = site("");
    assert_eq!(site.get("/block").status, 200);
    wait_for(&site, "it was late", |group| {
        group["processes"][0]["event_loop"]["lag"]["p99_seconds"].as_f64().is_some_and(|late| late > 0.05)
    });
    assert!(metrics(&site).contains("mod_wsgi_process_event_loop_lag_seconds_count{"));
    site.finish();
}

#[test]
fn an_application_that_goes_on_after_its_response_is_counted() {
    let site = site("");
    assert_eq!(site.get("/background").text(), "done");
    wait_for(&site, "one goes on", |group| group["background_tasks"] == 1);
    wait_for(&site, "none does", |group| group["background_tasks"] == 0);
    site.finish();
}

#[test]
fn whatever_a_process_writes_about_itself_the_status_is_still_one() {
    let site = site("processes=2");
    assert_eq!(site.get("/scribble").status, 200);
    wait_for(&site, "it has written", |group| group["background_tasks"].as_u64() > Some(1 << 31));
    let text = metrics(&site);
    assert!(
        text.lines()
            .all(|line| line.starts_with('#') || line.rsplit_once(' ').is_some_and(|(_, n)| n.parse::<f64>().is_ok()))
    );
    assert_eq!(site.get("/wsgi-status").status, 200);
    assert_eq!(site.get("/").status, 200);
    site.finish();
}
