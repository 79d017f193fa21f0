//! Panics in the event loop of a process group that speaks ASGI.

use harness::{Httpd, Role, Site, eventually, kill};

use crate::place::{KEPT, LOST, Place, SOON};

/// Reads what comes, waits a little, and answers in pieces. `/long` is more than a socket takes, `/late` never ends.
const APPLICATION: &str = r#"
import asyncio, os, resource

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.failed", "message": "of no interest"})
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size, more = size + len(message["body"]), message["more_body"]
    if scope["path"] == "/full":
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
    await asyncio.sleep({"/late": 3600, "/slow": 1}.get(scope["path"], 0.001))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in [b"x" * 50_000] * 1000 if scope["path"] == "/long" else [b"whole ", b"answer"]:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": str(size).encode()})
"#;

/// The bytes of a request.
const SENT: usize = 3 << 20;

fn server(place: &Place, options: &str) -> Httpd {
    let options = format!("interface=asgi {options} {}", place.option());
    let conf = "WSGIScriptAlias /more {apps}/more process-group=site application-group=%{GLOBAL}\n\
                WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}";
    let site = Httpd::builder().conf(&format!("WSGIDaemonProcess site {options}\n{conf}"));
    let site = site.app("site.wsgi", APPLICATION).app("more/start.wsgi", APPLICATION);
    let site = place.built(site).start();
    site.log.expect(&["Exception in callback", "Exception processing", "SystemError", "a whole response"]);
    site
}

/// The status of an answer, and how much content it had; 0 for one that breaks off.
fn ask(site: &Httpd, path: &str) -> (u16, usize) {
    send(site, path, SENT)
}

fn send(site: &Httpd, path: &str, size: usize) -> (u16, usize) {
    let answer = site.try_request("POST", path, &[], &vec![b'x'; size]);
    answer.map_or((0, 0), |answer| (answer.status, answer.body.len()))
}

fn is_well(site: &Httpd, after: &str) {
    assert_eq!(ask(site, "/"), (200, "whole answer3145728".len()), "after {after}: {}", site.log.text());
}

/// Sends a signal to the daemon process.
fn signal(site: &Httpd, signal: libc::c_int) {
    let daemons = site.census().into_iter().filter(|member| member.role == Role::Daemon);
    daemons.for_each(|member| assert!(kill(member.pid, signal), "a daemon process"));
}

#[test]
fn a_panic_in_the_event_loop_costs_the_request_at_most() {
    let Some(place) = Place::new("panics in the event loop") else { return };
    let site = server(&place, "deadlock-timeout=4 graceful-timeout=600");
    is_well(&site, "the start");
    let lost = [
        "asgi: arrived",
        "asgi: begins",
        "asgi: called",
        "asgi: news",
        "asgi: content",
        "asgi: task over",
        "asgi: released",
        "mod_wsgi.Callables.receive",
        "mod_wsgi.Callables.send",
        "mod_wsgi.Callables.finished",
        "mod_wsgi.Done.tp_iternext",
        "mod_wsgi.Value.tp_iternext",
    ];
    let kept = [
        "the listening socket",
        "mod_wsgi.Driver.ready",
        "mod_wsgi.Callables.tp_dealloc",
        "mod_wsgi.Value.tp_dealloc",
        "what comes on a connection",
    ];
    for at in lost.iter().chain(&kept) {
        if *at == "the listening socket" {
            // A new connection takes the place of one that a panic has cost.
            place.panic_in("asgi: arrived");
            assert!(LOST.contains(&ask(&site, "/").0), "{}", site.log.text());
            place.is_told("asgi: arrived", &site);
        }
        place.panic_in(at);
        // What is there at once is a `Value`.
        let (status, _) = send(&site, "/", if at.contains("Value") { 1 } else { SENT });
        place.happens(at, &site.log);
        // What has left when the panic comes is the client's.
        let may_keep =
            ["mod_wsgi.Callables.finished", "asgi: task over", "asgi: released", "what comes on a connection"];
        let is_kept = KEPT.contains(&status) && (kept.contains(at) || may_keep.contains(at));
        let is_lost = LOST.contains(&status) && (lost.contains(at) || may_keep.contains(at));
        assert!(is_kept || is_lost, "{at}: {status}: {}", site.log.text());
        place.is_told(at, &site);
        is_well(&site, at);
    }
    // Content that waits for the socket, while its application does.
    place.panic_in("asgi: room");
    assert_eq!(ask(&site, "/long").0, 0);
    place.is_told("asgi: room", &site);
    is_well(&site, "asgi: room");

    // No request is counted any more: a process that is to be replaced ends at once.
    let daemon = || site.census().into_iter().find(|member| member.role == Role::Daemon).map(|member| member.pid);
    let before = daemon();
    place.panic_in("a wake of the event loop");
    signal(&site, libc::SIGUSR1);
    place.is_told("a wake of the event loop", &site);
    let ended = || before.filter(|pid| !harness::alive(*pid));
    assert!(eventually(SOON, ended).is_some(), "it waits for a request: {}", site.log.text());
    let before = daemon();
    place.panic_in("mod_wsgi.Driver.failed_to_stop");
    signal(&site, libc::SIGTERM);
    place.is_told("mod_wsgi.Driver.failed_to_stop", &site);
    let ended = || before.filter(|pid| !harness::alive(*pid));
    assert!(eventually(SOON, ended).is_some(), "it does not end: {}", site.log.text());
    is_well(&site, "the end");
    site.log.expect(&["does not stop in order"]);
    site.finish();
}

/// Timers: one that fails is set again.
#[test]
fn a_panic_in_a_timer_of_the_event_loop_lets_no_request_wait_for_ever() {
    let Some(place) = Place::new("panics in timers") else { return };
    let site = server(&place, "request-timeout=1");
    is_well(&site, "the start");
    for (at, status) in [("mod_wsgi.Driver.look_at_time", 504), ("a request that is late", 500), ("asgi: late", 500)] {
        place.panic_in(at);
        assert_eq!(ask(&site, "/late").0, status, "{at}: {}", site.log.text());
        place.is_told(at, &site);
        is_well(&site, at);
    }
    site.log.expect(&["does not stop in order"]);
    site.finish();
}

/// A process without a descriptor for another connection. The request goes to its successor.
#[test]
fn a_panic_when_connections_may_come_again_lets_no_request_wait_for_ever() {
    let Some(place) = Place::new("panics in pauses") else { return };
    let site = server(&place, "");
    site.log.expect(&["can accept no connection"]);
    is_well(&site, "the start");
    place.panic_in("mod_wsgi.Driver.resume");
    assert_eq!(ask(&site, "/full").0, 200);
    // One of them needs a second connection.
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| ask(&site, "/slow").0), scope.spawn(|| ask(&site, "/slow").0)];
        assert_eq!(both.map(|one| one.join().expect("an answer")), [200, 200], "{}", site.log.text());
    });
    place.is_told("mod_wsgi.Driver.resume", &site);
    is_well(&site, "mod_wsgi.Driver.resume");
    site.log.expect(&["does not stop in order"]);
    site.finish();
}

/// An application that starts with its first request, which waits for that.
#[test]
fn a_panic_at_the_start_of_an_application_costs_those_who_wait_for_it() {
    let Some(place) = Place::new("panics at the start of applications") else { return };
    let site = server(&place, "");
    site.log.expect(&["cannot start (lifespan)"]);
    is_well(&site, "the start");
    place.panic_in("mod_wsgi.Driver.started");
    assert_eq!(ask(&site, "/more/start.wsgi").0, 500, "{}", site.log.text());
    place.is_told("mod_wsgi.Driver.started", &site);
    assert_eq!(ask(&site, "/more/start.wsgi").0, 200, "{}", site.log.text());
    site.log.expect(&["does not stop in order"]);
    site.finish();
}
