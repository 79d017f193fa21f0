//! Panics while a client has a WebSocket.

use harness::websocket::{CLOSE, TEXT, WebSocket, frame};
use harness::{Httpd, Role, Site, kill};

use crate::place::Place;

/// Sends back what comes.
const APPLICATION: &str = r#"
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await receive()
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
"#;

fn server(place: &Place) -> Httpd {
    let options = format!("interface=asgi ws-graceful-timeout=1 {}", place.option());
    let site = Httpd::builder().conf(&format!(
        "WSGIDaemonProcess site {options}\n\
         WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group=%{{GLOBAL}}"
    ));
    let site = place.built(site.app("site.wsgi", APPLICATION)).start();
    site.log.expect(&[
        "Exception in callback",
        "Exception processing",
        "SystemError",
        "WSGI1040: ",
        "does not stop in order",
    ]);
    site
}

/// Opens a WebSocket, if it is granted.
fn open(site: &Httpd) -> Option<WebSocket> {
    std::panic::catch_unwind(|| WebSocket::open(site.port(), "/")).ok()
}

/// Sends a text, and returns the frames that come until it is back, or until the end.
fn echo(socket: &mut WebSocket) -> Vec<(u8, Vec<u8>)> {
    // Its other end may have gone.
    let _ = socket.send_bytes(&frame(0x80 | TEXT, b"hello"));
    let mut frames = Vec::new();
    while let Some((first, payload)) = socket.frame() {
        frames.push((first & 15, payload));
        if frames.last().is_some_and(|(opcode, _)| *opcode == TEXT) {
            break;
        }
    }
    frames
}

fn is_well(site: &Httpd, after: &str) {
    let mut socket = open(site).expect("a WebSocket");
    assert_eq!(echo(&mut socket), [(TEXT, b"hello".to_vec())], "after {after}: {}", site.log.text());
    socket.close(1000);
    while socket.frame().is_some() {}
}

#[test]
fn a_panic_costs_a_websocket_at_most_and_puts_nothing_else_into_it() {
    let Some(place) = Place::new("panics in WebSockets") else { return };
    let site = server(&place);
    is_well(&site, "the start");
    for at in [
        "websocket: step",
        "suspend_connection",
        "the pump of WebSockets",
        "mod_wsgi.Callables.receive",
        "mod_wsgi.Callables.send",
        "mod_wsgi.Callables.finished",
        "mod_wsgi.Callables.tp_dealloc",
    ] {
        place.panic_in(at);
        if let Some(mut socket) = open(&site) {
            for (opcode, payload) in echo(&mut socket) {
                assert!([TEXT, CLOSE].contains(&opcode), "{at}: {opcode} {:?}", String::from_utf8_lossy(&payload));
            }
        }
        place.is_told(at, &site);
        is_well(&site, at);
    }
    // Their closes are spread over the time that is left to them.
    let mut sockets = [open(&site), open(&site), open(&site)].map(|socket| socket.expect("a WebSocket"));
    place.panic_in("mod_wsgi.Driver.say_farewell");
    let daemons = site.census().into_iter().filter(|member| member.role == Role::Daemon);
    daemons.for_each(|member| assert!(kill(member.pid, libc::SIGUSR1), "a daemon process"));
    for socket in &mut sockets {
        while socket.frame().is_some() {}
    }
    place.is_told("mod_wsgi.Driver.say_farewell", &site);
    is_well(&site, "the end");
    site.finish();
}
