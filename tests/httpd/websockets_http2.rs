//! WebSockets that are streams of HTTP/2 (RFC 8441), where `H2WebSockets on` lets clients ask for them.

use harness::http2::{Event, Http2};
use harness::websocket::{BINARY, CLOSE, TEXT, frame};
use harness::{Httpd, Site, cannot_run, module};

use crate::status::{LOCATION, wait_for};

const APP: &str = r#"
async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/refuse":
            return await send({"type": "websocket.close"})
        await send({"type": "websocket.accept"})
        if scope["path"] == "/scope":
            await send({"type": "websocket.send", "text": f"{scope['http_version']} {scope['scheme']}"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})
"#;

/// A site, if there is a mod_http2 that knows of WebSockets (from httpd 2.4.58 on).
fn site(test: &str, conf: &str) -> Option<Httpd> {
    let knows = |file: &std::path::PathBuf| {
        std::fs::read(file).is_ok_and(|bytes| bytes.windows(12).any(|part| part == b"H2WebSockets"))
    };
    let Some(http2) = module("http2").filter(knows) else {
        cannot_run(test, "needs a mod_http2 with H2WebSockets");
        return None;
    };
    let site = Httpd::site("interface=asgi ws-ping-interval=1", APP)
        .conf(&format!("LoadModule http2_module {}\nProtocols h2c http/1.1\nH2WebSockets on\n{conf}", http2.display()))
        .conf(LOCATION);
    Some(site.start())
}

/// What a server sends of a message that is as short as this.
fn sent(opcode: u8, content: &[u8]) -> Vec<u8> {
    [&[0x80 | opcode, content.len() as u8], content].concat()
}

fn open(client: &mut Http2, path: &str) -> u32 {
    let stream = client.ask(path);
    assert_eq!(client.event(stream), Event::Head(true), "{path}");
    stream
}

#[test]
fn a_stream_is_a_websocket_like_any_other() {
    let Some(site) = site("a_stream_is_a_websocket_like_any_other", "") else { return };
    let mut client = Http2::open(site.port());
    assert!(client.connects);
    let [one, other] = [open(&mut client, "/echo"), open(&mut client, "/scope")];
    let scope = sent(TEXT, b"2 ws");
    assert_eq!(client.bytes(other, scope.len()), scope);
    for number in 0..20u8 {
        for stream in [one, other] {
            client.data(stream, &frame(0x80 | BINARY, &[number; 100]));
            // A ping may have come in between.
            let expected = sent(BINARY, &[number; 100]);
            let mut got = client.bytes(stream, 2);
            while got[..2] == [0x89, 0] {
                got.drain(..2);
                got.extend(client.bytes(stream, 2));
            }
            if got.len() < expected.len() {
                let left = expected.len() - got.len();
                got.extend(client.bytes(stream, left));
            }
            assert_eq!(got, expected, "{number}");
        }
    }
    client.data(one, &frame(0x80 | CLOSE, &[3, 0xe9]));
    let mut end = client.bytes(one, 2);
    while end[..2] == [0x89, 0] {
        end = client.bytes(one, 2);
    }
    assert_eq!(end[..2], [0x88, 2]);
    while client.event(one) != Event::End {}
    // Who is reset is lost.
    client.reset(other);
    wait_for(&site, "both have ended", |group| {
        let closed = &group["websockets"]["closed"];
        group["websockets"]["open"] == 0 && closed["1001"] == 1 && closed["1006"] == 1
    });
    site.finish();
}

#[test]
fn who_is_refused_over_http2_gets_a_response() {
    let Some(site) = site("who_is_refused_over_http2_gets_a_response", "") else { return };
    let mut client = Http2::open(site.port());
    let stream = client.ask("/refuse");
    assert_eq!(client.event(stream), Event::Head(false));
    let mut other = Http2::open(site.port());
    let echo = open(&mut other, "/echo");
    other.data(echo, &frame(0x80 | TEXT, b"hi"));
    assert_eq!(other.bytes(echo, 4), sent(TEXT, b"hi"));
    // A client that is gone with its connection is lost, too.
    drop(other);
    wait_for(&site, "it has ended", |group| {
        group["websockets"]["open"] == 0 && group["websockets"]["refused"]["application"] == 1
    });
    site.finish();
}

#[test]
fn half_of_the_workers_of_http2_are_for_others() {
    let conf = "H2MinWorkers 2\nH2MaxWorkers 4";
    let Some(site) = site("half_of_the_workers_of_http2_are_for_others", conf) else { return };
    let mut client = Http2::open(site.port());
    let streams = [open(&mut client, "/echo"), open(&mut client, "/echo")];
    let third = client.ask("/echo");
    assert_eq!(client.event(third), Event::Head(false));
    client.reset(streams[0]);
    wait_for(&site, "one is open", |group| group["websockets"]["open"] == 1);
    assert_eq!(site.get("/").text(), "plain");
    let again = harness::eventually(std::time::Duration::from_secs(10), || {
        let stream = client.ask("/echo");
        (client.event(stream) == Event::Head(true)).then_some(())
    });
    assert!(again.is_some(), "a place that was given back is taken");
    site.finish();
}
