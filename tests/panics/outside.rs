//! Panics in the life of a server and of its interpreters.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use harness::{Httpd, MODES, Role, Scratch, Site, eventually, kill};

use crate::place::{KEPT, Place, SOON, ask, is_well};

fn in_both_modes(site: &Httpd, after: &str) {
    for mode in MODES {
        is_well(site, mode, after);
    }
}

/// The sockets in the directory of a server's files.
fn sockets(site: &Httpd) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(site.root().join("run")).expect("a directory").flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect()
}

#[test]
fn a_panic_outside_of_requests_costs_what_it_happened_in() {
    let Some(place) = Place::new("panics outside of requests") else { return };
    let mut site =
        place.server("server-metrics=On").conf("<Location /status>\nSetHandler server-status\n</Location>").start();
    in_both_modes(&site, "nothing");
    place.panic_in("status_hook");
    let _ = site.get("/status");
    place.is_told("status_hook", &site);
    assert_eq!(site.get("/status").status, 200);
    in_both_modes(&site, "status_hook");

    place.panic_in("supervisor watch");
    let supervisor = site.census().into_iter().find(|member| member.role == Role::Supervisor).expect("a supervisor");
    kill(supervisor.pid, libc::SIGKILL);
    place.is_told("supervisor watch", &site);
    in_both_modes(&site, "the supervisor's watch");
    // Nobody has started another supervisor, which would have removed the sockets of the one that was killed.
    for socket in sockets(&site) {
        let _ = fs::remove_file(socket);
    }
    site.stop();
}

/// The client of a unix socket loses its connection, and the next one is served.
#[test]
fn a_panic_when_somebody_connects_to_a_unix_socket_costs_that_connection() {
    let Some(place) = Place::new("panics at a unix socket") else { return };
    let directory = Scratch::new();
    let path = directory.path().join("http.sock");
    let socket = UnixListener::bind(&path).expect("a socket");
    let site = place.server("").passing(socket).start();
    let ask = || {
        let mut client = UnixStream::connect(&path).expect("somebody listens");
        // The connection may be closed by now.
        let _ = client.write_all(b"GET /none HTTP/1.0\r\n\r\n");
        let mut text = String::new();
        let _ = client.read_to_string(&mut text);
        text
    };
    assert!(ask().contains(" 404 "));
    place.panic_in("pre_connection");
    assert_eq!(ask(), "");
    place.is_told("pre_connection", &site);
    assert!(ask().contains(" 404 "));
    site.finish();
}

/// A record keeps its text.
#[test]
fn a_panic_while_a_line_of_apaches_becomes_json_costs_its_form() {
    let Some(place) = Place::new("panics in the error log") else { return };
    let site = place.server("").conf("ErrorLogFormat \"%{begin}J%M%{end}J\"").start();
    place.panic_in("errorlog handler");
    assert_eq!(site.get("/none").status, 404);
    place.is_told("errorlog handler", &site);
    assert_eq!(site.get("/none").status, 404);
    site.log.wait_for("\"stream\":\"apache\"");
    site.finish();
}

/// The end of a server, and of Python in its processes.
#[test]
fn a_panic_at_the_end_keeps_nobody_from_ending() {
    let Some(place) = Place::new("panics at the end") else { return };
    let at_the_end = [
        "child_stopping",
        "pool cleanup",
        "end",
        "shutdown",
        "the end of the interpreters",
        "the end of an interpreter",
        "the end of the process",
        "the thread for the end by force",
    ];
    for at in at_the_end {
        let conf = "WSGIScriptAlias /other {apps}/site.wsgi process-group=site application-group=other";
        let mut site = place.server("").conf(conf).start();
        in_both_modes(&site, "a start");
        is_well(&site, "/other", "a start");
        place.panic_in(at);
        assert!(site.stop().is_some(), "{at}: it stops");
        place.happens(at, &site.log);
        // Whom the parent has not told to stop ends when it sees that the parent is gone.
        let gone = || sockets(&site).is_empty().then_some(());
        assert!(eventually(SOON, gone).is_some(), "{at}: {:?}", sockets(&site));
    }
}

/// Another interpreter, in both modes.
#[test]
fn a_panic_while_an_interpreter_is_made_costs_no_request() {
    let Some(place) = Place::new("panics in interpreters") else { return };
    let conf = "WSGIScriptAlias /other {apps}/site.wsgi process-group=site application-group=other\n\
                WSGIScriptAlias /guest {apps}/site.wsgi application-group=other";
    let site = place.server("").conf(conf).start();
    for mode in ["/other", "/guest"] {
        place.costs(&site, mode, "a new interpreter", "", KEPT);
    }
    site.finish();
}

/// A daemon process that cannot start is tried again; an Apache child without Python answers 500, and the next serves.
#[test]
fn a_panic_while_python_begins_costs_that_process() {
    let Some(place) = Place::new("panics while Python begins") else { return };
    let conf = "WSGIScriptAlias /other {apps}/site.wsgi process-group=site application-group=other";
    let mut site = place.server("").conf(conf).start();
    site.log.expect(&["WSGI", "SystemError"]);
    in_both_modes(&site, "nothing");
    let pids = |site: &Httpd, role: Role| -> Vec<u32> {
        site.census().into_iter().filter(|member| member.role == role).map(|member| member.pid).collect()
    };
    let answers = |site: &Httpd, mode: &str, wanted: u16, at: &str| {
        let found = || Some(ask(site, mode, "").0).filter(|status| *status == wanted);
        assert!(eventually(SOON, found).is_some(), "{mode} after {at}: {}", site.log.text());
    };
    // Before it is loaded the engine has no log.
    let is_told = |site: &Httpd, at: &str| match at {
        "the module _engine" => {
            place.happens(at, &site.log);
            site.log.wait_for("injected into the module _engine");
        }
        at => place.is_told(at, site),
    };
    for at in ["run", "the module _engine", "preload"] {
        place.panic_in(at);
        pids(&site, Role::Daemon).into_iter().for_each(|pid| assert!(kill(pid, libc::SIGTERM), "a daemon process"));
        is_told(&site, at);
        answers(&site, "/daemon", 200, at);
    }
    // Another child, and another daemon process, before there is an order that these could take.
    let restart = |site: &mut Httpd| {
        let before = [pids(site, Role::Child), pids(site, Role::Daemon)].concat();
        site.signal(libc::SIGUSR1);
        let gone = || (!site.processes().iter().any(|pid| before.contains(pid))).then_some(());
        assert!(eventually(SOON, gone).is_some(), "{}", site.log.text());
        answers(site, "/daemon", 200, "a restart");
    };
    for at in ["begin", "the module _engine", "Python's main thread"] {
        restart(&mut site);
        place.panic_in(at);
        answers(&site, "/embedded", 500, at);
        is_told(&site, at);
        answers(&site, "/daemon", 200, at);
        restart(&mut site);
        answers(&site, "/embedded", 200, at);
    }
    site.finish();
}
