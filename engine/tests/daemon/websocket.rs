//! WebSockets of a daemon process against the wire.

use std::io::{Read, Write};
use std::time::Duration;

use wsgi_wire::codec::Wire;
use wsgi_wire::control::{Drain, Reason};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::request::Purpose;
use wsgi_wire::response::Fail;
use wsgi_wire::websocket::{Accept, Close};

use crate::asgi::Child;
use crate::harness::Process;

const APP: &str = r#"
import asyncio, json
seen = {}
async def echo(receive, send):
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            seen["end"] = message
            return
        await send({"type": "websocket.send", **{key: message[key] for key in ("text", "bytes") if key in message}})
async def application(scope, receive, send):
    path = scope["path"]
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
    assert (await receive()) == {"type": "websocket.connect"}
    if path == "/refuse":
        return await send({"type": "websocket.close"})
    if path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x", b"y")]})
        return await send({"type": "websocket.http.response.body", "body": b"who are you?"})
    if path == "/fail":
        raise LookupError("early")
    if path == "/silent":
        return
    if path == "/undecided":
        return await receive()
    if path == "/wrong":
        errors = []
        for message in (
            {"type": "websocket.send", "text": "early"}, {"type": "websocket.accept", "subprotocol": "other"},
            {"type": "websocket.accept", "headers": [(b"connection", b"close")]}, {"type": "http.response.start", "status": 200},
            {"type": "websocket.accept"}, {"type": "websocket.accept"}, {"type": "websocket.send"},
            {"type": "websocket.send", "text": "\ud800"}, {"type": "websocket.close", "code": 1006},
            {"type": "websocket.close", "reason": "x" * 124}, {"type": "websocket.close", "code": 4000, "reason": "done"},
            {"type": "websocket.send", "text": "late"}, {"type": "websocket.close"},
        ):
            try:
                await send(message)
                errors.append("none")
            except Exception as error:
                errors.append(type(error).__name__)
        seen["errors"], seen["own"] = errors, await receive()
        return
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None), "headers": [(b"x", b"y")]})
    if path == "/echo":
        seen["scope"] = [scope["scheme"], "method" in scope, scope["subprotocols"], sorted(scope["extensions"])]
        await echo(receive, send)
        try:
            await send({"type": "websocket.send", "text": "late"})
        except OSError as error:
            seen["late"] = type(error).__name__
    if path == "/fail-open":
        raise LookupError("late")
    if path == "/slow":
        while not seen.get("go"):
            await asyncio.sleep(0.01)
        await echo(receive, send)
    if path == "/go":
        seen["go"] = True
    if path == "/flood":
        for number in range(1000):
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
            seen["sent"] = number + 1
"#;

fn start(name: &str) -> Process {
    Process::start(name, APP, |settings| {
        settings.interface = Interface::Asgi;
        settings.event_loop = "asyncio".into();
        settings.limit_concurrency = 100;
        settings.ws_max_size = 1 << 20;
        settings.ws_max_queue = 4;
    })
}

impl Child {
    /// Asks for a WebSocket at this path.
    fn opens(process: &Process, path: &str) -> Self {
        let mut child = Self::new(process);
        let headers = [("sec-websocket-protocol", "chat, other.v2")];
        let headers = if path == "/wrong" { &[][..] } else { &headers };
        child.say(&Self::asks(9, path, Purpose::WebSocket, headers));
        child
    }

    /// Asks for a WebSocket that is accepted.
    fn opened(process: &Process, path: &str) -> Self {
        let mut child = Self::opens(process, path);
        let data = child.frame();
        let frame = frame::first(&data).unwrap().unwrap();
        assert_eq!(frame.kind, Kind::Accept);
        let accept = Accept::decode(frame.payload).unwrap();
        assert_eq!((accept.subprotocol, accept.headers.count()), (Some(&b"chat"[..]), 1));
        child
    }

    fn message(&mut self, kind: Kind, content: &[u8]) {
        let mut out = Vec::new();
        frame::put_message(9, &mut out, kind, content, true);
        self.say(&out);
    }

    fn close(&mut self, code: u16) {
        let mut out = Vec::new();
        frame::put_in(9, &mut out, Kind::Close, |out| Close { code, reason: "bye".into() }.put(out)).unwrap();
        self.say(&out);
    }

    /// The next message that comes.
    fn hear(&mut self) -> (Kind, Vec<u8>) {
        let mut content = Vec::new();
        loop {
            let data = self.frame();
            let frame = frame::first(&data).unwrap().unwrap();
            content.extend_from_slice(frame.payload);
            if !frame.is_more {
                return (frame.kind, content);
            }
        }
    }

    /// The code of the close that comes, which is the last that is said.
    fn closed(&mut self) -> u16 {
        let (kind, content) = self.hear();
        assert_eq!(kind, Kind::Close);
        let rest = self.0.read(&mut [0]);
        assert!(matches!(rest, Ok(0)) || rest.is_err(), "nothing follows");
        Close::from_bytes(&content).unwrap().code
    }
}

/// What the application has seen.
fn seen(process: &Process) -> String {
    let mut child = Child::new(process);
    child.say(&Child::asks(1, "/seen", Purpose::Response(wsgi_wire::request::Body::None), &[]));
    String::from_utf8(child.answer().1).unwrap()
}

#[test]
fn messages_go_both_ways_in_pieces_until_the_client_closes() {
    let process = start("websocket-echo");
    let mut child = Child::opened(&process, "/echo");
    let long = vec![7; 700_000];
    for (kind, content) in [(Kind::Text, "na\u{ef}ve".as_bytes()), (Kind::Binary, b""), (Kind::Binary, &long)] {
        child.message(kind, content);
        assert_eq!(child.hear(), (kind, content.to_vec()));
    }
    child.close(4001);
    assert!(matches!(child.0.read(&mut [0]), Ok(0)), "the connection carries nothing else");
    let seen = seen(&process);
    let scope = r#""scope": ["wss", false, ["chat", "other.v2"], ["mod_wsgi", "websocket.http.response"]]"#;
    let end = r#""end": {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}"#;
    for part in [scope, end, r#""late": "ClientDisconnected""#] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
}

#[test]
fn who_is_refused_gets_a_response_and_the_connection_carries_another_request() {
    let process = start("websocket-refuse");
    let mut child = Child::opens(&process, "/refuse");
    let data = child.frame();
    assert_eq!(Fail::from_bytes(frame::first(&data).unwrap().unwrap().payload).unwrap().status, 403);
    child.say(&Child::asks(10, "/deny", Purpose::WebSocket, &[]));
    let (kinds, content) = child.answer();
    assert_eq!((kinds.first(), content.as_slice()), (Some(&Kind::Head), &b"who are you?"[..]));
    for (exchange, path) in [(11, "/fail"), (12, "/silent")] {
        child.say(&Child::asks(exchange, path, Purpose::WebSocket, &[]));
        assert_eq!(child.answer().0.last(), Some(&Kind::Fail), "{path}");
    }
    child.say(&Child::asks(13, "/seen", Purpose::Response(wsgi_wire::request::Body::None), &[]));
    assert_eq!(child.answer().1, b"{}");
}

#[test]
fn an_application_that_fails_or_returns_closes() {
    let process = start("websocket-fail");
    let mut child = Child::opened(&process, "/fail-open");
    let mut kinds = vec![];
    let close = loop {
        let (kind, content) = child.hear();
        kinds.push(kind);
        if kind == Kind::Close {
            break Close::from_bytes(&content).unwrap();
        }
    };
    assert_eq!((close.code, kinds.first()), (1011, Some(&Kind::Log)));
    assert_eq!(Child::opened(&process, "/go").closed(), 1000);
}

#[test]
fn what_may_not_be_sent_raises() {
    let process = start("websocket-wrong");
    let mut child = Child::opens(&process, "/wrong");
    assert_eq!(child.hear().0, Kind::Accept);
    assert_eq!(child.closed(), 4000);
    let wanted = [
        "RuntimeError",
        "ValueError",
        "ValueError",
        "RuntimeError",
        "none",
        "RuntimeError",
        "ValueError",
        "UnicodeEncodeError",
        "ValueError",
        "ValueError",
        "none",
        "RuntimeError",
        "RuntimeError",
    ];
    let seen = seen(&process);
    assert!(seen.contains(&format!("\"errors\": [\"{}\"]", wanted.join("\", \""))), "{seen}");
    assert!(seen.contains(r#""own": {"type": "websocket.disconnect", "code": 4000, "reason": "done"}"#), "{seen}");
}

#[test]
fn who_sends_more_than_the_application_takes_has_to_wait_and_nothing_is_lost() {
    let process = start("websocket-slow");
    let mut child = Child::opened(&process, "/slow");
    let mut all = Vec::new();
    for number in 0..3000u32 {
        frame::put_message(9, &mut all, Kind::Binary, &[&number.to_ne_bytes()[..], &[0; 1000]].concat(), true);
    }
    child.0.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while let Ok(some) = child.0.write(&all[sent..]) {
        sent += some;
        assert!(sent < 2_000_000, "somebody keeps all of it");
    }
    child.0.set_write_timeout(None).unwrap();
    assert_eq!(Child::opened(&process, "/go").closed(), 1000, "others are served");
    let mut writer = Child(child.0.try_clone().unwrap());
    let writes = std::thread::spawn(move || writer.say(&all[sent..]));
    for number in 0..3000u32 {
        assert_eq!(child.hear().1[..4], number.to_ne_bytes());
    }
    writes.join().unwrap();
    child.close(1000);
}

#[test]
fn the_application_waits_for_a_client_that_takes_nothing() {
    let process = start("websocket-flood");
    let mut slow = Child::opened(&process, "/flood");
    for _ in 0..100 {
        let seen = seen(&process);
        let sent = seen.split("\"sent\": ").nth(1).map_or(0, |rest| rest[..rest.len() - 1].parse().unwrap());
        assert!(sent < 20, "{sent}");
    }
    for _ in 0..1000 {
        assert_eq!(slow.hear().1.len(), 100_000);
    }
    assert_eq!(slow.closed(), 1000);
}

#[test]
fn a_process_that_ends_closes_one_after_the_other() {
    let mut process = Process::start("websocket-drain", APP, |settings| {
        settings.interface = Interface::Asgi;
        settings.event_loop = "asyncio".into();
        settings.limit_concurrency = 100;
        settings.ws_max_size = 1000;
        settings.ws_max_queue = 4;
        settings.graceful_timeout = 60;
        settings.ws_graceful_timeout = 1;
    });
    let mut children: Vec<_> = (0..4).map(|_| Child::opened(&process, "/echo")).collect();
    process.say(Kind::Drain, |out| Drain { reason: Reason::GracefulSignal, patient: false }.put(out));
    assert!(children.iter_mut().all(|child| child.closed() == 1012));
    assert!(process.wait().success());
}

#[test]
fn what_no_child_of_ours_sends_ends_the_connection() {
    let process = start("websocket-hostile");
    let send = |child: &mut Child, kind, content: &[u8]| child.message(kind, content);
    for breaks in [0, 1, 2, 3] {
        let mut child = if breaks == 0 { Child::new(&process) } else { Child::opened(&process, "/echo") };
        match breaks {
            0 => child.say(&{
                let mut both = Child::asks(9, "/undecided", Purpose::WebSocket, &[]);
                frame::put_message(9, &mut both, Kind::Text, b"early", true);
                both
            }),
            1 => send(&mut child, Kind::Text, b"\xff"),
            2 => send(&mut child, Kind::Binary, &vec![0; (1 << 20) + 1]),
            _ => child.say(&frame::header_in(9, Kind::BodyEnd, 0).unwrap()),
        }
        let mut rest = Vec::new();
        // It may be reset instead.
        let _ = child.0.read_to_end(&mut rest);
    }
    assert!(seen(&process).contains(r#""code": 1006"#));
}
