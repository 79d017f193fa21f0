//! WebSockets through a real Apache: handshakes and refusals, messages, ends of every kind, clients that are slow or
//! hostile.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use harness::websocket::{BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame, request};
use harness::{Httpd, Mpm, Site, cannot_run, free_port, kill};
use serde_json::json;

use crate::tls::Tls;

/// Does with a WebSocket what its path says. A request without one tells what has been seen.
pub const APP: &str = r#"
import asyncio, json, os
seen = {"open": 0, "ends": []}

async def serve(path, receive, send):
    if path == "/echo":
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})
        seen["ends"].append([message["code"], message["reason"]])
    elif path == "/close":
        await send({"type": "websocket.send", "text": "bye"})
        await send({"type": "websocket.close", "code": 4321, "reason": "enough"})
        seen["ends"].append((await receive())["code"])
    elif path == "/fail":
        raise LookupError("in the middle")
    elif path == "/flood":
        for number in range(2000):
            await send({"type": "websocket.send", "bytes": number.to_bytes(4, "big") * 10_000})
            seen["sent"] = number + 1
    elif path == "/deaf":
        while not seen.get("listen"):
            await asyncio.sleep(0.01)
        while (await receive())["type"] == "websocket.receive":
            seen["heard"] = seen.get("heard", 0) + 1
    elif path == "/pid":
        print("waits")
        await send({"type": "websocket.send", "text": str(os.getpid())})
        await serve("/echo", receive, send)

async def application(scope, receive, send):
    path = scope["path"]
    if scope["type"] == "http":
        seen["listen"] = seen.get("listen") or path == "/listen"
        body = json.dumps(seen).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        return await send({"type": "http.response.body", "body": body})
    assert (await receive())["type"] == "websocket.connect"
    if path == "/refuse":
        return await send({"type": "websocket.close"})
    if path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"unknown")]})
        return await send({"type": "websocket.http.response.body", "body": b"who are you?"})
    if path == "/scope":
        keys = ("type", "scheme", "path", "subprotocols", "http_version")
        seen["scope"] = {**{key: scope[key] for key in keys}, "extensions": sorted(scope["extensions"])}
    await send({"type": "websocket.accept", "headers": [(b"x-granted", b"yes")],
                "subprotocol": scope["subprotocols"][-1] if scope["subprotocols"] else None})
    seen["open"] += 1
    try:
        await serve(path, receive, send)
    finally:
        seen["open"] -= 1
"#;

fn builder(options: &str) -> harness::Builder {
    Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!("WSGIDaemonProcess site interface=asgi {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
}

fn site(options: &str) -> Httpd {
    builder(options).start()
}

/// Waits until the application has seen this many ends; returns them.
fn ends(site: &Httpd, count: usize) -> serde_json::Value {
    let seen = || {
        let ends = site.get("/seen").json()["ends"].clone();
        (ends.as_array()?.len() == count).then_some(ends)
    };
    harness::eventually(Duration::from_secs(10), seen).expect("ends")
}

fn wait_until(site: &Httpd, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
    let seen = || is(&site.get("/seen").json()[what]).then_some(());
    harness::eventually(Duration::from_secs(10), seen)
        .unwrap_or_else(|| panic!("{what}: {}", site.get("/seen").text()));
}

#[test]
fn messages_go_both_ways_with_every_mpm() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let site = builder("ws-max-size=20M").mpm(mpm).start();
        let mut socket = WebSocket::open(site.port(), "/echo");
        assert!(socket.head.contains("x-granted: yes"), "{}", socket.head);
        let long = vec![b'x'; 10_000_000];
        let messages = [(TEXT, "na\u{ef}ve".as_bytes()), (BINARY, b""), (BINARY, &[7; 70_000]), (TEXT, &long)];
        for (opcode, content) in messages {
            // What is longer than all buffers has to be read while it is sent.
            let (mut writer, sent) = (socket.stream().try_clone().expect("a socket"), frame(0x80 | opcode, content));
            let writes = std::thread::spawn(move || writer.write_all(&sent));
            assert!(socket.message() == Some((opcode, content.to_vec())), "{} bytes", content.len());
            writes.join().expect("a writer").expect("a message is sent");
        }
        socket.send(PING, b"there?");
        assert_eq!(socket.message(), Some((PONG, b"there?".to_vec())));
        socket.send(CLOSE, b"\x0f\xa1see you");
        assert_eq!(socket.closed(), Some(4001));
        assert!(socket.is_over());
        assert_eq!(ends(&site, 1), json!([[4001, "see you"]]));
        site.finish();
    }
}

#[test]
fn the_scope_and_the_head_have_the_sub_protocol() {
    let site = site("");
    let sent = request("/scope", &["Sec-WebSocket-Protocol: chat, chat.v2", "Origin: http://localhost"]);
    let mut socket = WebSocket::begin(site.port(), sent.as_bytes());
    assert!(socket.head.contains("Sec-WebSocket-Protocol: chat.v2\r\n"), "{}", socket.head);
    assert_eq!(socket.closed(), Some(1000), "an application that returns has closed");
    let scope = json!({"type": "websocket", "scheme": "ws", "path": "/scope", "subprotocols": ["chat", "chat.v2"],
        "http_version": "1.1", "extensions": ["mod_wsgi", "websocket.http.response"]});
    assert_eq!(site.get("/seen").json()["scope"], scope);
    site.finish();
}

#[test]
fn who_asks_wrongly_or_is_refused_gets_a_response() {
    let site = site("");
    let ask = |path: &str, headers: &[&str]| {
        let mut client = site.client();
        let answer = client.exchange("GET", path, headers, b"").expect("an answer");
        // The connection carries another request, unless Apache ends it with its page.
        if answer.status != 400 {
            assert_eq!(client.exchange("GET", "/seen", &[], b"").expect("an answer").status, 200, "{path}");
        }
        answer
    };
    let upgrade = ["Upgrade: websocket", "Connection: upgrade"];
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let with = |more: &[&'static str]| [&upgrade[..], more].concat();
    let refused = ask("/refuse", &with(&["Sec-WebSocket-Version: 13", key]));
    assert_eq!(refused.status, 403);
    let denied = ask("/deny", &with(&["Sec-WebSocket-Version: 13", key]));
    assert_eq!((denied.status, denied.text(), denied.all("x-why")), (401, "who are you?".to_owned(), vec!["unknown"]));
    let old = ask("/echo", &with(&["Sec-WebSocket-Version: 8", key]));
    assert_eq!((old.status, old.all("Sec-WebSocket-Version")), (426, vec!["13"]));
    assert_eq!(ask("/echo", &with(&["Sec-WebSocket-Version: 13"])).status, 400);
    assert_eq!(ask("/echo", &with(&["Sec-WebSocket-Version: 13", key, "Sec-WebSocket-Protocol: a, a"])).status, 400);
    // One that does not say so of its connection is a request like any other.
    assert_eq!(ask("/seen", &["Upgrade: websocket", "Sec-WebSocket-Version: 13", key]).status, 200);
    assert_eq!(ask("/seen", &["Upgrade: h2c", "Connection: upgrade"]).status, 200);
    site.finish();
}

#[test]
fn where_wsgi_is_spoken_nobody_upgrades() {
    let app = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [environ['HTTP_UPGRADE'].encode()]\n";
    let site = Httpd::both_modes("", app).start();
    for path in ["/daemon", "/embedded"] {
        let headers =
            ["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"];
        let answer = site.client().exchange("GET", path, &headers, b"").expect("an answer");
        assert_eq!((answer.status, answer.text()), (200, "websocket".to_owned()));
    }
    site.finish();
}

#[test]
fn frames_that_follow_the_request_at_once_are_heard() {
    let site = site("");
    let mut sent = request("/echo", &[]).into_bytes();
    sent.extend(frame(0x80 | TEXT, b"first"));
    sent.extend(&frame(0x80 | TEXT, b"second")[..7]);
    let mut socket = WebSocket::begin(site.port(), &sent);
    assert_eq!(socket.text(), "first");
    socket.send_bytes(&frame(0x80 | TEXT, b"second")[7..]).expect("the rest");
    assert_eq!(socket.text(), "second");
    drop(socket);
    assert_eq!(ends(&site, 1), json!([[1006, ""]]), "a client that is lost");
    site.finish();
}

#[test]
fn whoever_breaks_the_protocol_is_told_so() {
    let site = site("ws-max-size=1000");
    let unmasked = [0x81, 2, b'h', b'i'];
    let breaches: [(&[u8], u16); 5] = [
        (&unmasked, 1002),
        (&frame(0x83, b""), 1002),
        (&frame(0x80 | TEXT, b"\xff"), 1007),
        (&frame(0x80 | BINARY, &[0; 1001]), 1009),
        // Of a message that is announced to be long nothing is awaited.
        (&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4], 1009),
    ];
    for (number, (sent, code)) in breaches.into_iter().enumerate() {
        let mut socket = WebSocket::open(site.port(), "/echo");
        socket.send_bytes(sent).expect("sent");
        assert_eq!((socket.closed(), socket.is_over()), (Some(code), true), "{number}");
        assert_eq!(ends(&site, number + 1)[number][0], json!(code));
    }
    site.finish();
}

#[test]
fn an_application_closes_or_fails() {
    let site = site("");
    site.log.expect(&["LookupError: in the middle", "Exception processing '/fail'"]);
    let mut socket = WebSocket::open(site.port(), "/close");
    assert_eq!(socket.text(), "bye");
    assert_eq!(socket.message(), Some((CLOSE, b"\x10\xe1enough".to_vec())));
    socket.close(4321);
    assert!(socket.is_over());
    assert_eq!(ends(&site, 1), json!([4321]));
    assert_eq!(WebSocket::open(site.port(), "/fail").closed(), Some(1011));
    site.finish();
}

#[test]
fn a_client_whose_process_is_killed_sees_a_lost_connection() {
    let site = site("");
    site.log.expect(&["whose clients see that their connections are lost", "was ended by signal 9", "waits"]);
    let mut socket = WebSocket::open(site.port(), "/pid");
    let pid: u32 = socket.text().parse().expect("a pid");
    assert!(kill(pid, libc::SIGKILL));
    assert_eq!(socket.closed(), None, "and no close, for which nobody has given a reason");
    site.log.wait_for("waits");
    let mut other = WebSocket::open(site.port(), "/pid");
    assert_ne!(other.text(), pid.to_string());
    site.finish();
}

#[test]
fn a_process_that_is_replaced_closes_with_1012() {
    let site = site("ws-graceful-timeout=1");
    site.log.expect(&["waits"]);
    let mut sockets: Vec<_> = (0..3).map(|_| WebSocket::open(site.port(), "/pid")).collect();
    let pids: Vec<u32> = sockets.iter_mut().map(|socket| socket.text().parse().expect("a pid")).collect();
    let pid = pids[0];
    assert!(kill(pid, libc::SIGUSR1));
    for socket in &mut sockets {
        assert_eq!(socket.closed(), Some(1012));
        socket.close(1012);
        assert!(socket.is_over());
    }
    assert_ne!(WebSocket::open(site.port(), "/pid").text(), pid.to_string());
    site.finish();
}

#[test]
fn clients_that_are_gone_right_after_the_upgrade_leave_nothing_behind() {
    let site = site("");
    for number in 0..300 {
        let mut socket = WebSocket::open(site.port(), "/echo");
        if number % 2 == 0 {
            // What has come and is not read makes a reset of the close.
            socket.send(TEXT, b"x");
            assert!(socket.stream().peek(&mut [0]).is_ok());
        }
    }
    wait_until(&site, "open", |open| *open == 0);
    let mut socket = WebSocket::open(site.port(), "/echo");
    socket.send(TEXT, b"still there");
    assert_eq!(socket.text(), "still there");
    site.finish();
}

#[test]
fn a_client_that_reads_nothing_has_the_application_wait_and_loses_nothing() {
    let site = site("");
    let mut slow = WebSocket::open(site.port(), "/flood");
    let mut other = WebSocket::open(site.port(), "/echo");
    let mut last = 0;
    for number in 0..200 {
        other.send(TEXT, number.to_string().as_bytes());
        assert_eq!(other.text(), number.to_string());
        last = site.get("/seen").json()["sent"].as_u64().expect("a number");
    }
    assert!(last < 1000, "80 MB are kept somewhere: {last}");
    for number in 0..2000u32 {
        let (opcode, content) = slow.message().expect("a message");
        assert!(opcode == BINARY && content.len() == 40_000 && content[..4] == number.to_be_bytes(), "{number}");
    }
    assert_eq!(slow.closed(), Some(1000));
    site.finish();
}

#[test]
fn an_application_that_receives_nothing_has_the_client_wait() {
    let site = site("ws-max-queue=4");
    let mut socket = WebSocket::open(site.port(), "/deaf");
    socket.stream().set_write_timeout(Some(Duration::from_millis(500))).expect("an option");
    let one = frame(0x80 | BINARY, &[1; 100_000]);
    let mut whole = 0;
    // The last one is cut where it is.
    while socket.send_bytes(&one).is_ok() {
        whole += 1;
        assert!(whole < 1000, "100 MB are kept somewhere");
    }
    assert_eq!(site.get("/listen").status, 200);
    wait_until(&site, "heard", |heard| heard.as_u64() >= Some(whole));
    site.finish();
}

#[test]
fn a_flood_of_pings_is_answered_no_faster_than_the_answers_are_taken() {
    let site = site("");
    let mut socket = WebSocket::open(site.port(), "/echo");
    socket.stream().set_write_timeout(Some(Duration::from_millis(500))).expect("an option");
    let pings = frame(0x80 | PING, &[9; 125]).repeat(100);
    let mut sent = 0;
    while socket.send_bytes(&pings).is_ok() {
        sent += 100;
        assert!(sent < 500_000, "60 MB of pongs are kept somewhere");
    }
    for _ in 0..sent {
        assert_eq!(socket.message(), Some((PONG, vec![9; 125])));
    }
    assert_eq!(site.get("/seen").status, 200);
    site.finish();
}

#[test]
fn a_client_that_answers_no_ping_is_given_up() {
    let site = site("ws-ping-interval=1 ws-ping-timeout=1");
    let [mut dead, mut alive] = [(); 2].map(|()| WebSocket::open(site.port(), "/echo"));
    let answers = std::thread::spawn(move || {
        for _ in 0..3 {
            assert_eq!(alive.message(), Some((PING, vec![])));
            alive.send(PONG, b"");
        }
        alive
    });
    assert_eq!(dead.message(), Some((PING, vec![])));
    assert_eq!((dead.closed(), dead.is_over()), (Some(1011), true));
    assert_eq!(ends(&site, 1)[0][0], json!(1011));
    let mut alive = answers.join().expect("a client that answers");
    alive.close(1000);
    assert_eq!(alive.closed(), Some(1000));
    site.finish();
}

/// The line of the access log of a WebSocket that has had so many messages back, of five bytes each.
fn logged(site: &Httpd, messages: usize) -> String {
    let mut socket = WebSocket::open(site.port(), "/echo");
    for _ in 0..messages {
        socket.send(TEXT, b"12345");
        assert_eq!(socket.text(), "12345");
    }
    socket.close(1000);
    assert_eq!(socket.closed(), Some(1000));
    assert!(socket.is_over());
    let path = site.root().join("access.log");
    let line = || std::fs::read_to_string(&path).ok().filter(|text| text.contains("/echo"));
    let text = harness::eventually(Duration::from_secs(10), line).expect("a line");
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_access_log_has_it_when_it_ends() {
    let site = builder("").conf("LogFormat \"%r %>s %B\" short\nCustomLog {root}/access.log short").start();
    assert_eq!(logged(&site, 1), "GET /echo HTTP/1.1 101 11");
    site.finish();
}

#[test]
fn mod_logio_counts_all_that_a_client_sends() {
    let load = harness::module("logio").map(|file| format!("LoadModule logio_module {}\n", file.display()));
    let log = "LogFormat \"%U %I\" short\nCustomLog {root}/access.log short";
    let site = builder("").conf(&(load.unwrap_or_default() + log)).start();
    let sent = harness::websocket::request("/echo", &[]).len() + 100 * (6 + 5) + 6 + 2;
    assert_eq!(logged(&site, 100), format!("/echo {sent}"));
    site.finish();
}

#[test]
fn a_server_that_stops_waits_for_no_websocket() {
    let mut site = site("");
    let mut sockets: Vec<_> = (0..5).map(|_| WebSocket::open(site.port(), "/echo")).collect();
    site.stop();
    for socket in &mut sockets {
        let code = socket.closed();
        assert!(matches!(code, None | Some(1001 | 1012)), "{code:?}");
    }
    site.finish();
}

/// Carries what comes on a port to a TLS server's, since the fuzzing client speaks no TLS.
const TUNNEL: &str = r#"
import asyncio, ssl, sys
context = ssl._create_unverified_context()
async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
async def carry(reader, writer):
    inside = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=context)
    await asyncio.gather(pump(reader, inside[1]), pump(inside[0], writer))
async def main():
    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

/// A program that ends with the test.
pub struct Tunnel(std::process::Child);

impl Tunnel {
    /// Begins one to a TLS server at this port. Returns the port where it begins, too.
    pub fn to(port: u16) -> (Self, u16) {
        let mut tunnel = Command::new("python3");
        let tunnel = tunnel.args(["-c", TUNNEL, &port.to_string()]).stdout(Stdio::piped()).spawn();
        let mut tunnel = Self(tunnel.expect("python3 runs"));
        let mut line = String::new();
        let stdout = tunnel.0.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a port");
        (tunnel, line.trim().parse().expect("a port"))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // Ended already is fine, too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that has Autobahn's cases, where there is one.
fn kosoku(test: &str) -> Option<Command> {
    let found = std::env::var_os("KOSOKU");
    if found.is_none() {
        cannot_run(test, "needs the program kosoku of PyPI, which the variable KOSOKU names (make autobahn)");
    }
    found.map(Command::new)
}

/// Runs cases against the application at `/echo` on this port.
fn run_cases(mut cases: Command, site: &Httpd, port: u16) {
    let cases = cases.arg("-o").arg(site.root().join("report")).arg(format!("ws://127.0.0.1:{port}/echo"));
    let run = cases.output().expect("kosoku runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&[run.stdout, run.stderr].concat()));
}

#[test]
fn autobahns_cases_about_compressed_messages_pass() {
    let test = "autobahns_cases_about_compressed_messages_pass";
    let Some(mut cases) = kosoku(test) else { return };
    let site = site("");
    // Those of 13.3 and 13.5 offer nothing but a smaller window of the server's, which is declined.
    cases.args(["-p", "4", "-i", "12.*", "-i", "13.*", "-x", "13.3.*", "-x", "13.5.*"]);
    run_cases(cases, &site, site.port());
    site.finish();
}

#[test]
fn autobahns_cases_pass_over_plain_and_tls() {
    let test = "autobahns_cases_pass_over_plain_and_tls";
    if kosoku(test).is_none() {
        return;
    }
    let Some(tls) = Tls::make(test) else { return };
    let port = free_port();
    let site = builder("").conf(&tls.host(port, "WSGIScriptAlias / {apps}/site.wsgi process-group=site")).start();
    let (_tunnel, encrypted) = Tunnel::to(port);
    for port in [site.port(), encrypted] {
        let Some(mut cases) = kosoku(test) else { return };
        // Of 12 and 13 all are about compressed messages.
        cases.args(["-p", "4", "-x", "12.*", "-x", "13.*"]);
        run_cases(cases, &site, port);
    }
    assert_eq!(site.get("/seen").json()["open"], 0);
    site.finish();
}
