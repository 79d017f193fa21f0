//! A daemon process with an event loop against the wire.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::names::Name;
use wsgi_wire::record::Level;
use wsgi_wire::request::{Body, Facts, Hello, Purpose, Rules, put_request, put_route};
use wsgi_wire::scope;

use crate::harness::{Process, SECRET};

const APP: &str = r#"
import asyncio
count = 0
async def application(scope, receive, send):
    global count
    assert scope["type"] == "http"
    path, body = scope["path"], b""
    if path == "/flood":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            count += 1
        return await send({"type": "http.response.body", "body": b""})
    if path == "/count":
        body = b"%d" % count
    if path == "/gone":
        while (await receive())["type"] != "http.disconnect":
            pass
        body = b"gone"
    if path == "/impatient":
        waits = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waits.cancel()
        body = b"without the body"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"#;

/// An Apache child's end of a connection.
pub(crate) struct Child(pub(crate) UnixStream);

impl Child {
    pub(crate) fn new(process: &Process) -> Self {
        let mut child = Self(process.connect_bare());
        let (mut out, rules) = (
            Vec::new(),
            Rules { reloading: false, ignore_activity: false, log_level: Level::Debug, interface: Interface::Asgi },
        );
        frame::put(&mut out, Kind::Hello, |out| Hello { version: wsgi_wire::VERSION, secret: SECRET }.put(out))
            .unwrap();
        let script = process.script();
        frame::put(&mut out, Kind::Route, |out| {
            0u16.put(out);
            put_route(out, script.to_str().unwrap().as_bytes(), b"", b"application", rules, |_| {});
        })
        .unwrap();
        child.0.write_all(&out).unwrap();
        child
    }

    fn request(exchange: u16, path: &str, body: Body<'_>) -> Vec<u8> {
        Self::asks(exchange, path, Purpose::Response(body), &[])
    }

    /// A request for this purpose, with these headers.
    pub(crate) fn asks(exchange: u16, path: &str, purpose: Purpose<'_>, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        let facts = Facts { request_start: 1, queue_start: 2, connects: 1, ..Facts::default() };
        frame::put_in(exchange, &mut out, Kind::Request, |out| {
            put_request(out, &facts, purpose, |vars| {
                vars.push(Name::Known(scope::METHOD), b"GET");
                vars.push(Name::Known(scope::PATH), path.as_bytes());
                vars.push(Name::Known(scope::SCHEME), b"https");
                for (name, value) in headers {
                    vars.push(scope::header(name.as_bytes()), value.as_bytes());
                }
            });
        })
        .unwrap();
        out
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next frame that comes, as it is encoded.
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        let mut data = vec![0; frame::HEADER];
        self.0.read_exact(&mut data).unwrap();
        data.resize(frame::needed(&data), 0);
        self.0.read_exact(&mut data[frame::HEADER..]).unwrap();
        data
    }

    /// The kinds of all frames up to the end, and the content.
    pub(crate) fn answer(&mut self) -> (Vec<Kind>, Vec<u8>) {
        let (mut kinds, mut content) = (Vec::new(), Vec::new());
        while !matches!(kinds.last(), Some(Kind::End | Kind::Fail)) {
            let data = self.frame();
            let frame = frame::first(&data).unwrap().unwrap();
            kinds.push(frame.kind);
            if frame.kind == Kind::Data {
                content.extend_from_slice(frame.payload);
            }
            // What is in the memory is not looked at here; the length is.
            if frame.kind == Kind::Filled {
                content.resize(content.len() + u32::from_bytes(frame.payload).unwrap() as usize, b'R');
            }
        }
        (kinds, content)
    }

    fn text(&mut self, exchange: u16, path: &str) -> String {
        self.say(&Self::request(exchange, path, Body::None));
        String::from_utf8(self.answer().1).unwrap()
    }
}

fn start(name: &str) -> Process {
    Process::start(name, APP, |settings| {
        settings.interface = Interface::Asgi;
        settings.event_loop = "asyncio".into();
        settings.limit_concurrency = 100;
    })
}

#[test]
fn who_sends_more_than_anybody_takes_has_to_wait() {
    let process = start("asgi-flood");
    let (mut slow, mut other) = (Child::new(&process), Child::new(&process));
    slow.say(&Child::request(7, "/flood", Body::None));
    // What is sent without waiting would be so at once; others are served meanwhile.
    let counts: Vec<usize> = (1..300).map(|exchange| other.text(exchange, "/count").parse().unwrap()).collect();
    assert!(counts.iter().all(|count| *count < 20), "{:?}", counts.last());
    let (kinds, content) = slow.answer();
    assert_eq!((kinds.first(), content.len()), (Some(&Kind::Head), 100_000_000));
    assert_eq!(other.text(400, "/count"), "1000");
}

#[test]
fn what_comes_behind_a_request_belongs_to_it() {
    let process = start("asgi-behind");
    let mut child = Child::new(&process);
    for exchange in 1..4 {
        let mut both = Child::request(exchange, "/gone", Body::None);
        both.extend(frame::header_in(exchange, Kind::Disconnect, 0).unwrap());
        child.say(&both);
        assert_eq!(child.answer().1, b"gone");
    }
}

#[test]
fn what_has_crossed_the_end_of_an_exchange_is_no_part_of_the_next_one() {
    let process = start("asgi-crossed");
    let mut child = Child::new(&process);
    child.say(&Child::request(1, "/impatient", Body::Pull(None)));
    let (kinds, content) = child.answer();
    assert_eq!(
        (kinds, content.as_slice()),
        (vec![Kind::Pull, Kind::Head, Kind::Data, Kind::End], &b"without the body"[..])
    );
    let mut late = Vec::new();
    frame::put_in(1, &mut late, Kind::Body, |out| out.extend_from_slice(b"late")).unwrap();
    late.extend(frame::header_in(1, Kind::Disconnect, 0).unwrap());
    child.say(&late);
    assert_eq!(child.text(2, "/count"), "0");
    let mut waits = Child::request(3, "/gone", Body::None);
    waits.extend(frame::header_in(1, Kind::Disconnect, 0).unwrap());
    waits.extend(frame::header_in(3, Kind::Disconnect, 0).unwrap());
    child.say(&waits);
    assert_eq!(child.answer().1, b"gone");
}
