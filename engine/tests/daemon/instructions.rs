//! One whole request in the engine's gateway, CPython's part included, for `make instructions` (scripts/instructions):
//! that has it repeated in a process under valgrind and counts instructions. Of a process with an event loop it is all
//! that the process does. As ordinary tests they run once.

use std::time::Duration;

use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::request::{Body, Purpose};

use super::asgi::Child;
use super::harness::Process;

const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello World!"]
"#;

const ASYNCHRONOUS: &str = r#"
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), (b"content-length", b"12")]})
        return await send({"type": "http.response.body", "body": b"Hello World!"})
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})
"#;

fn rounds() -> u16 {
    std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// A process with an event loop of asyncio's.
fn start_asynchronous(name: &str) -> Process {
    let process = Process::start(name, ASYNCHRONOUS, |settings| {
        settings.interface = Interface::Asgi;
        settings.event_loop = "asyncio".into();
        settings.limit_concurrency = 100;
        settings.ws_max_size = 1 << 20;
        settings.ws_max_queue = 4;
    });
    process.ignore_news();
    process
}

/// Waits until a process rests: how often its loop goes round depends on how soon the next request is there.
fn let_rest(process: &Process) {
    let path = format!("/proc/{}/stat", process.pid());
    let is_awake = |stat: String| stat.rsplit(')').next().is_some_and(|state| !state.starts_with(" S"));
    while std::fs::read_to_string(&path).is_ok_and(is_awake) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn serve(name: &str, headers: usize) {
    // Other threads would look at the clock, how often depends on its speed.
    let mut process = Process::start(name, HELLO, |settings| settings.threads = 1);
    process.ignore_news();
    let mut connection = process.connect();
    let names: Vec<_> = (0..headers).map(|n| format!("HTTP_X_HEADER_{n}")).collect();
    let mut vars = vec![("PATH_INFO", "/"), ("mod_wsgi.request_id", "id-1")];
    vars.extend(names.iter().map(|name| (name.as_str(), "the value of a header")));
    for _ in 0..rounds() {
        connection.send(0, &vars, Body::None);
        let answer = connection.answer(&mut [].into_iter());
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"Hello World!"[..]));
    }
    process.stop();
    assert!(process.wait().success());
}

#[test]
fn instructions_request() {
    serve("instructions", 0);
}

/// What is more than for the other one is for building an environ.
#[test]
fn instructions_request_with_40_headers() {
    serve("instructions-headers", 40);
}

#[test]
fn instructions_asgi_request() {
    let mut process = start_asynchronous("instructions-asgi");
    let mut child = Child::new(&process);
    for exchange in 0..rounds() {
        let_rest(&process);
        child.say(&Child::asks(exchange, "/", Purpose::Response(Body::None), &[("host", "localhost")]));
        let (kinds, content) = child.answer();
        assert_eq!(
            (kinds.as_slice(), content.as_slice()),
            (&[Kind::Head, Kind::Data, Kind::End][..], &b"Hello World!"[..])
        );
    }
    process.stop();
    assert!(process.wait().success());
}

/// One message of 64 bytes that comes on a WebSocket, and the one that it is answered with.
#[test]
fn instructions_asgi_message() {
    let mut process = start_asynchronous("instructions-message");
    let mut child = Child::new(&process);
    child.say(&Child::asks(7, "/", Purpose::WebSocket, &[]));
    child.frame();
    let mut message = Vec::new();
    frame::put_message(7, &mut message, Kind::Binary, &[7; 64], true);
    for _ in 0..rounds() {
        let_rest(&process);
        child.say(&message);
        assert_eq!(child.frame(), message);
    }
    drop(child);
    process.stop();
    assert!(process.wait().success());
}
