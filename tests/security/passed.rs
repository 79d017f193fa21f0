//! What a process passes along with its messages: whoever closes the last copy of a connection waits as long as that
//! wants (SO_LINGER), and nobody waits for that of an application.

use harness::{Httpd, PROBE, Role, Site, eventually, kill};
use std::time::Duration;

/// Passes connections that have something to send, which nobody takes, and that take an hour to close. Who has passed
/// one closes its own copy before the other side has read the message, which therefore comes when that has enough to
/// do, or is looked at later.
const LINGERS: &str = r#"
import os, subprocess, sys, threading, time
sys.path.insert(0, os.path.dirname(__file__))
from frames import *

def lingering():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    # Somebody who outlives this process has the other end.
    peer = server.accept()[0]
    subprocess.Popen(["sleep", "120"], pass_fds=[peer.fileno()])
    peer.close()
    server.close()
    client.settimeout(0.2)
    try:
        while True:
            client.send(b"x" * 65536)
    except TimeoutError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return client

def passes(connection, message):
    "By a process that ends: that waits for nothing, the other side has to, if it has not read the message by then."
    client, (go, ready) = lingering(), socket.socketpair()
    child = os.fork()
    if child == 0:
        go.recv(1)
        socket.send_fds(connection, [message], [client.fileno()])
        os._exit(0)
    # It is not the last copy.
    client.close()
    ready.send(b"x")
    os.waitpid(child, 0)

WANTED, RECORD = frame(52), b"\0\0" + struct.pack("=BBII", 6, 1, 1, 1) + text(b"x" * 100_000) + b"\0\0"

def idle(environ):
    "Descriptors lie on connections that are not used when this process ends."
    connection, number = exchange(environ)
    threading.Timer(0.5, lambda: [passes(connection, frame(DATA)), os.write(2, b"it lies there\n")]).start()

def application(environ, start_response):
    page = environ["PATH_INFO"].strip("/")
    if page == "control":
        with control() as channel:
            # More than the supervisor hears at once: the rest it reads seconds later.
            channel.sendall(WANTED * 600)
            time.sleep(0.5)
            passes(channel, WANTED)
    elif page == "records":
        with socket.socket(fileno=os.dup(7)) as channel:
            for _ in range(170):
                channel.send(RECORD)
            time.sleep(0.5)
            passes(channel, RECORD)
    elif page == "idle":
        idle(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

fn site() -> Httpd {
    Httpd::builder()
        .app("site.wsgi", LINGERS)
        .app("frames.py", include_str!("frames.py"))
        .app("bank.wsgi", PROBE)
        .conf(
            "ServerLimit 1\nThreadsPerChild 8\nMaxRequestWorkers 8\nMinSpareThreads 1\nMaxSpareThreads 8\n\
             WSGIDaemonProcess site threads=2 server-metrics=On\nWSGIDaemonProcess bank\n\
             WSGIScriptAlias /bank {apps}/bank.wsgi process-group=bank application-group=%{GLOBAL}\n\
             WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}",
        )
        .start()
}

/// The process that answers.
fn process(site: &Httpd, path: &str) -> Option<u32> {
    let answer = site.try_request("GET", path, &[], b"").ok().filter(|answer| answer.status == 200);
    answer.and_then(|answer| answer.text().parse().ok())
}

const BANK: &str = "/bank?os.getpid()";

#[test]
fn the_supervisor_waits_for_no_connection_that_a_process_has_passed() {
    for (page, said) in [("/control", "it came with a descriptor"), ("/records", "it came with a descriptor")] {
        let site = site();
        site.log.expect(&["xxxx", "at once", said, "WSGI1321: ", "WSGI1307: …was ended by signal"]);
        let victim = process(&site, BANK).expect("it answers");
        assert!(process(&site, page).is_some());
        // The supervisor would stand still now, until a process ends.
        site.log.wait_for(said);
        site.get("/bank?print('what%20others%20say%20is%20written')");
        site.log.wait_for("what others say is written");
        assert!(kill(victim, libc::SIGKILL));
        let other = eventually(Duration::from_secs(20), || process(&site, BANK).filter(|now| *now != victim));
        assert!(other.is_some(), "{page}: no process is replaced");
        site.finish();
    }
}

#[test]
fn an_apache_child_waits_for_no_connection_that_a_process_has_passed() {
    let site = site();
    site.log.expect(&["it lies there", "WSGI1307: …was ended by signal"]);
    let attacker = process(&site, "/idle").expect("it answers");
    site.log.wait_for("it lies there");
    // The slot gets another process, of whatever group, and its first request finds the connections of the one before.
    assert!(kill(attacker, libc::SIGKILL));
    site.log.wait_for("WSGI1307: …was ended by signal");
    let other = process(&site, "/");
    assert!(other.is_some_and(|other| other != attacker), "{other:?}: it stands still");
    assert_eq!(site.census().iter().filter(|member| member.role == Role::Child).count(), 1);
    site.finish();
}
