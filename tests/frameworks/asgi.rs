//! Applications of ASGI with the real frameworks in a plain Apache: the common pages, and the WebSockets and streams
//! that each is used for.

use std::time::Duration;

use harness::websocket::{BINARY, TEXT, WebSocket, request};
use harness::{Client, Httpd, Site, eventually, in_time};
use serde_json::{Value, json};

use crate::{ask_for_pages, large, nothing_found};

fn serve(source: &str) -> Httpd {
    Httpd::builder()
        .app("site.py", source)
        .conf("WSGIDaemonProcess site interface=asgi\nWSGIScriptAlias / {apps}/site.py process-group=site")
        .start()
}

/// Asks for what all frameworks' applications here have.
fn pages(name: &str, source: &str) -> Httpd {
    let site = serve(source);
    ask_for_pages(&site, name, "");
    let mut socket = WebSocket::open(site.port(), "/ws/W%C3%B6rld");
    assert_eq!(socket.text(), "Hello, W\u{f6}rld!", "{name}");
    socket.send(TEXT, "one \u{1f600}".as_bytes());
    assert_eq!(socket.text(), "one \u{1f600}", "{name}");
    let large = large();
    socket.send(BINARY, &large);
    assert!(socket.message() == Some((BINARY, large)), "{name}");
    socket.send(TEXT, b"end");
    assert_eq!(socket.closed(), Some(4001), "{name}");
    assert_eq!(status_of_handshake(&site, "/refused", &[]), 403, "{name}");
    site
}

/// The status of the answer to a request for a WebSocket that is not granted.
fn status_of_handshake(site: &Httpd, path: &str, headers: &[&str]) -> u16 {
    let mut client = site.client();
    client.send(request(path, headers).as_bytes()).expect("a request is sent");
    client.status().expect("an answer")
}

/// Reads some of the events at `/events`, goes away, and waits until the application knows.
fn listens_and_leaves(site: &Httpd, name: &str) {
    let mut listener = site.client();
    listener.send_head("GET", "/events", &["Accept: text/event-stream"]).expect("a request is sent");
    assert_eq!(listener.status().expect("an answer"), 200, "{name}");
    listener.read(10 * "data: tick\n\n".len()).expect("events");
    drop(listener);
    let left = || (site.get("/left").text() == "1").then_some(());
    assert!(eventually(in_time(Duration::from_secs(20)), left).is_some(), "{name}: nobody has left");
}

#[test]
fn fastapi() {
    let site = pages("FastAPI", include_str!("asgi/fastapi.py"));
    listens_and_leaves(&site, "FastAPI");
    let invalid = site.post("/upload", b"");
    assert_eq!(invalid.status, 422, "{}", invalid.text());
    assert!(site.get("/openapi.json").text().contains("\"/upload\""));
    nothing_found(site, "FastAPI");
}

#[test]
fn starlette() {
    let source = include_str!("asgi/starlette.py");
    let site = pages("Starlette", source);
    let file = site.get("/source");
    assert_eq!((file.text().as_str(), file.header("content-type")), (source, Some("text/plain; charset=utf-8")));
    let part = site.request("GET", "/source", &[("Range", "bytes=3-12")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, &source[3..13]));
    nothing_found(site, "Starlette");
}

#[test]
fn quart() {
    nothing_found(pages("Quart", include_str!("asgi/quart.py")), "Quart");
}

#[test]
fn litestar() {
    nothing_found(pages("Litestar", include_str!("asgi/litestar.py")), "Litestar");
}

#[test]
fn django_and_channels() {
    let site = pages("Channels", include_str!("asgi/channels.py"));
    let join = || WebSocket::begin(site.port(), request("/room", &["Origin: http://localhost"]).as_bytes());
    let (mut ada, mut grace) = (join(), join());
    for (number, line) in ["one", "two"].into_iter().enumerate() {
        let speaker = if number == 0 { &mut ada } else { &mut grace };
        speaker.send(TEXT, line.as_bytes());
        assert_eq!((ada.text().as_str(), grace.text().as_str()), (line, line));
    }
    grace.close(4002);
    assert_eq!(grace.closed(), Some(4002));
    assert_eq!(ada.text(), "somebody left with 4002");
    assert_eq!(status_of_handshake(&site, "/room", &["Origin: http://elsewhere.example"]), 403);
    nothing_found(site, "Channels");
}

/// The packets of Engine.IO in an answer; the kind of each is its first character.
fn packets(client: &mut Client, method: &str, path: &str, body: &[u8]) -> Vec<String> {
    let headers = [format!("Content-Length: {}", body.len())];
    let answer = client.exchange(method, path, &[&headers[0]], body).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text().split('\u{1e}').map(String::from).collect()
}

#[test]
fn socketio_polls_then_goes_over_to_a_websocket() {
    let site = serve(include_str!("asgi/socketio.py"));
    let mut client = site.client();
    let polling = "/socket.io/?EIO=4&transport=polling";
    let opened = packets(&mut client, "GET", polling, b"");
    let opened: Value = serde_json::from_str(opened[0].strip_prefix('0').expect("an open")).expect("JSON");
    assert_eq!(opened["upgrades"], json!(["websocket"]));
    let sid = opened["sid"].as_str().expect("a session");
    let session = format!("{polling}&sid={sid}");
    assert_eq!(packets(&mut client, "POST", &session, b"40"), ["OK"]);
    assert!(packets(&mut client, "GET", &session, b"")[0].starts_with("40{\"sid\":"));

    let mut socket = WebSocket::open(site.port(), &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"));
    socket.send(TEXT, b"2probe");
    assert_eq!(socket.text(), "3probe");
    socket.send(TEXT, b"5");
    socket.send(TEXT, br#"421["say","hello"]"#);
    // The end of what has been polled.
    assert_eq!(socket.text(), "6");
    assert_eq!([socket.text(), socket.text()], [r#"42["said","hello"]"#, r#"431["done"]"#]);

    let mut other = WebSocket::open(site.port(), "/socket.io/?EIO=4&transport=websocket");
    assert!(other.text().starts_with("0{"));
    other.send(TEXT, b"40");
    assert!(other.text().starts_with("40{"));
    other.send(TEXT, br#"42["say","and hello again"]"#);
    let said = r#"42["said","and hello again"]"#;
    assert_eq!((socket.text().as_str(), other.text().as_str()), (said, said));
    nothing_found(site, "python-socketio");
}

#[test]
fn sse_starlette() {
    let site = serve(include_str!("asgi/sse_starlette.py"));
    listens_and_leaves(&site, "sse-starlette");
    nothing_found(site, "sse-starlette");
}

#[test]
fn datasette() {
    let site = serve(include_str!("asgi/datasette.py"));
    assert!(site.get("/").text().contains("shop"), "{}", site.get("/").text());
    let rows = site.get("/shop/goods.json?_shape=array&_size=2").json();
    assert_eq!(rows, json!([{ "id": 1, "name": "thing 1" }, { "id": 2, "name": "thing 2" }]));
    let all = site.get("/shop/goods.csv?_stream=1").text();
    assert_eq!((all.lines().count(), all.lines().last()), (2501, Some("2500,thing 2500")));
    assert_eq!(site.get("/-/static/app.css").status, 200);
    nothing_found(site, "datasette");
}
