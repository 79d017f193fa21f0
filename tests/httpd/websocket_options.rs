//! What the configuration says about WebSockets: messages that travel compressed, and whose pages may open one.

use harness::websocket::{TEXT, WebSocket, frame, request};
use harness::{Httpd, Site};

/// Echoes, or at `/count` tells how many there are of which character.
const APP: &str = r#"
async def application(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        if scope["path"] == "/count":
            text = f"{len(text)} {''.join(sorted(set(text)))}"
        await send({"type": "websocket.send", "text": text})
"#;

/// The bit of a frame's first byte that says that its message is compressed.
const COMPRESSED: u8 = 0x40;

fn site(options: &str) -> Httpd {
    Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!("WSGIDaemonProcess site interface=asgi {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .start()
}

fn open(site: &Httpd, path: &str, extensions: &str) -> WebSocket {
    let sent = request(path, &[&format!("Sec-WebSocket-Extensions: {extensions}")]);
    WebSocket::begin(site.port(), sent.as_bytes())
}

#[test]
fn messages_travel_compressed_both_ways_where_the_client_takes_that() {
    let site = site("ws-max-size=1000000");
    let mut socket = open(&site, "/echo", "permessage-deflate; client_max_window_bits");
    let granted =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    assert!(socket.head.contains(granted), "{}", socket.head);
    // The example of RFC 7692 §7.2.3.1, in one frame and in two.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    socket.send_bytes(&frame(0x80 | COMPRESSED | TEXT, &hello)).expect("sent");
    assert_eq!(socket.text(), "Hello");
    socket.send_bytes(&frame(COMPRESSED | TEXT, &hello[..3])).expect("sent");
    socket.send_bytes(&frame(0x80, &hello[3..])).expect("sent");
    assert_eq!(socket.text(), "Hello");
    // What is long and repeats itself comes back short, and is the same.
    socket.send(TEXT, "ab".repeat(50_000).as_bytes());
    let (first, short) = socket.frame().expect("a message");
    assert_eq!((first, short.len() < 1000), (0x80 | COMPRESSED | TEXT, true));
    let mut counts = open(&site, "/count", "permessage-deflate");
    for _ in 0..2 {
        counts.send_bytes(&frame(0x80 | COMPRESSED | TEXT, &short)).expect("sent");
        assert_eq!(counts.text(), "100000 ab");
    }
    site.finish();
}

#[test]
fn a_message_that_inflates_beyond_the_limit_ends_its_websocket() {
    let site = site("ws-max-size=2000");
    let mut large = open(&site, "/count", "permessage-deflate");
    // 5000 zeros.
    let bomb = [
        0xec, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x0a, 0x3f, 0xa0, 0x00, 0x00, 0x00,
        0x00, 0x80, 0xb7, 0x01,
    ];
    large.send_bytes(&frame(0x80 | COMPRESSED | 2, &bomb)).expect("sent");
    assert_eq!(large.closed(), Some(1009));
    let mut damaged = open(&site, "/count", "permessage-deflate");
    damaged.send_bytes(&frame(0x80 | COMPRESSED | TEXT, &[0xff; 10])).expect("sent");
    assert_eq!(damaged.closed(), Some(1002));
    site.finish();
}

#[test]
fn what_was_not_granted_is_not_taken() {
    let site = site("ws-per-message-deflate=Off");
    let on = self::site("");
    for mut socket in [
        open(&site, "/echo", "permessage-deflate"),
        open(&on, "/echo", "permessage-deflate; server_max_window_bits=10"),
        open(&on, "/echo", "x-other"),
    ] {
        assert!(!socket.head.contains("Sec-WebSocket-Extensions"), "{}", socket.head);
        socket.send(TEXT, "ab".repeat(50_000).as_bytes());
        assert_eq!(socket.frame().map(|(first, content)| (first & COMPRESSED, content.len())), Some((0, 100_000)));
        socket.send_bytes(&frame(0x80 | COMPRESSED | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).expect("sent");
        assert_eq!(socket.closed(), Some(1002));
    }
    site.finish();
    on.finish();
}

fn status(site: &Httpd, headers: &[&str]) -> u16 {
    let mut client = site.client();
    client.send(request("/echo", headers).as_bytes()).expect("sent");
    client.status().expect("a status")
}

#[test]
fn only_the_pages_that_may_open_websockets() {
    let listed = site("ws-origins=https://shop.example,http://localhost:8000");
    let same = site("ws-origins=same");
    let any = site("");
    for (site, origin, expected) in [
        (&listed, "https://shop.example", 101),
        (&listed, "http://localhost:8000", 101),
        (&listed, "http://localhost", 403),
        (&listed, "https://shop.example.evil", 403),
        (&listed, "null", 403),
        (&same, "http://localhost", 101),
        (&same, "https://localhost", 101),
        (&same, "http://localhost:8000", 403),
        (&same, "http://evil.example", 403),
        (&any, "http://evil.example", 101),
    ] {
        assert_eq!(status(site, &[&format!("Origin: {origin}")]), expected, "{origin}");
    }
    // Who is no browser names no page.
    assert_eq!([&listed, &same].map(|site| status(site, &[])), [101, 101]);
    // Two pages are none.
    assert_eq!(status(&listed, &["Origin: https://shop.example", "Origin: http://localhost:8000"]), 403);
    for site in [listed, same, any] {
        site.finish();
    }
}

#[test]
fn the_host_of_the_same_site_is_the_one_that_a_trusted_proxy_names() {
    let site = Httpd::builder()
        .app("site.wsgi", APP)
        .conf("WSGIDaemonProcess site interface=asgi ws-origins=same")
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .conf("WSGITrustedProxyHeaders X-Forwarded-Host X-Forwarded-Proto\nWSGITrustedProxies 127.0.0.1")
        .start();
    let proxy = ["X-Forwarded-Host: shop.example", "X-Forwarded-Proto: https"];
    let from = |origin| status(&site, &[&proxy[..], &[origin]].concat());
    assert_eq!(from("Origin: https://shop.example"), 101);
    assert_eq!(from("Origin: http://shop.example"), 403, "what goes over TLS is none of a page's that did not");
    assert_eq!(from("Origin: http://localhost"), 403);
    site.finish();
}
