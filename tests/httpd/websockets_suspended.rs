//! WebSockets that hold no thread of Apache, under the MPM event: how many there can be, and what they survive.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use harness::websocket::{TEXT, WebSocket, request, resets};
use harness::{Httpd, Mpm, Role, Site, eventually, free_port, kill};

use crate::tls::Tls;
use crate::websockets::{APP, Tunnel};

/// One child with four threads.
const SMALL: &str = "ServerLimit 2\nThreadLimit 4\nThreadsPerChild 4\nMaxRequestWorkers 4\nMaxSpareThreads 4";

fn site(options: &str, server: &str) -> Httpd {
    Httpd::builder()
        .app("site.wsgi", APP)
        .conf(&format!("WSGIDaemonProcess site interface=asgi {options}"))
        .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
        .conf(server)
        .start()
}

fn open(port: u16, count: usize) -> Vec<WebSocket> {
    (0..count).map(|_| WebSocket::open(port, "/echo")).collect()
}

fn echo(sockets: &mut [WebSocket], text: &str) {
    for socket in &mut *sockets {
        socket.send(TEXT, text.as_bytes());
    }
    for socket in sockets {
        assert_eq!(socket.text(), text);
    }
}

/// The status of a request for a WebSocket, and whether it says when to come back.
fn refusal(site: &Httpd) -> (u16, bool) {
    let headers = [
        "Upgrade: websocket",
        "Connection: upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let answer = site.client().exchange("GET", "/echo", &headers, b"").expect("an answer");
    (answer.status, !answer.all("Retry-After").is_empty())
}

/// Waits until there is room for another WebSocket.
fn has_room(site: &Httpd) {
    let opened = || {
        let mut stream = TcpStream::connect(("127.0.0.1", site.port())).ok()?;
        stream.write_all(request("/echo", &[]).as_bytes()).ok()?;
        let mut head = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut head).ok()?;
        (&head == b"HTTP/1.1 101").then_some(())
    };
    eventually(Duration::from_secs(10), opened).expect("a place");
}

#[test]
fn more_websockets_than_workers_and_requests_are_served_beside_them() {
    let Some(tls) = Tls::make("more_websockets_than_workers_and_requests_are_served_beside_them") else { return };
    let port = free_port();
    let host = tls.host(port, "WSGIScriptAlias / {apps}/site.wsgi process-group=site");
    let site = site("", &format!("{SMALL}\nAsyncRequestWorkerFactor 20\n{host}"));
    let (_tunnel, encrypted) = Tunnel::to(port);
    let mut sockets = open(site.port(), 20);
    sockets.extend(open(encrypted, 15));
    echo(&mut sockets, "all are there");
    for _ in 0..10 {
        assert_eq!(site.get("/seen").json()["open"], 35);
    }
    let long = "x".repeat(300_000);
    echo(&mut sockets[15..25], &long);
    for socket in &mut sockets {
        socket.close(1000);
        assert_eq!((socket.closed(), socket.is_over()), (Some(1000), true));
    }
    // What Apache counts of them goes down again.
    for _ in 0..3 {
        let mut sockets = open(site.port(), 30);
        echo(&mut sockets, "again");
    }
    site.finish();
}

/// Each WebSocket of a group that may have two workers has one of them.
fn each_holds_a_worker(site: Httpd) {
    site.log.expect(&["as worker-limit allows"]);
    let mut sockets = open(site.port(), 2);
    echo(&mut sockets, "hello");
    assert_eq!(refusal(&site), (503, true));
    drop(sockets);
    site.finish();
}

#[test]
fn with_suspension_off_each_holds_a_worker() {
    let site = site("worker-limit=2", &format!("{SMALL}\nAsyncRequestWorkerFactor 20\nWSGIWebSocketSuspend Off"));
    each_holds_a_worker(site);
}

#[test]
fn no_process_has_more_than_it_may_and_the_one_with_the_fewest_gets_the_next() {
    let site = site("processes=2 limit-websockets=3", "AsyncRequestWorkerFactor 4");
    site.log.expect(&["as limit-websockets allows", "waits"]);
    let both = || (site.log.records_with("is ready").len() == 2).then_some(());
    eventually(Duration::from_secs(10), both).expect("two processes");
    let mut sockets: Vec<_> = (0..6).map(|_| WebSocket::open(site.port(), "/pid")).collect();
    let mut pids: Vec<String> = sockets.iter_mut().map(WebSocket::text).collect();
    pids.sort();
    assert!(pids[0] == pids[2] && pids[3] == pids[5] && pids[2] != pids[3], "{pids:?}");
    assert_eq!(refusal(&site), (503, true));
    assert_eq!(site.get("/seen").status, 200);
    sockets.pop();
    has_room(&site);
    site.finish();
}

#[test]
fn there_are_no_more_than_leave_apache_open_for_others() {
    let site = site("", SMALL);
    site.log.expect(&["as its threads and AsyncRequestWorkerFactor allow"]);
    let mut sockets = open(site.port(), 4);
    for _ in 0..5 {
        assert_eq!(refusal(&site), (503, true));
        assert_eq!(site.get("/seen").json()["open"], 4);
    }
    echo(&mut sockets, "still there");
    sockets.pop();
    has_room(&site);
    site.finish();
}

#[test]
fn a_child_that_is_full_leaves_others_to_accept() {
    // A child takes 4 × (1 + 4) connections, and there may be 8 × 4 × 4 ÷ 2 WebSockets.
    let conf = "ServerLimit 8\nThreadLimit 4\nThreadsPerChild 4\nMaxRequestWorkers 32\nAsyncRequestWorkerFactor 4";
    let site = site("", conf);
    let mut sockets = open(site.port(), 64);
    echo(&mut sockets, "hello");
    for _ in 0..10 {
        assert_eq!(site.get("/seen").json()["open"], 64);
    }
    site.log.expect(&["as its threads and AsyncRequestWorkerFactor allow"]);
    assert_eq!(refusal(&site), (503, true));
    drop(sockets);
    site.finish();
}

#[test]
fn a_limit_that_apache_cannot_hold_is_told_of() {
    let site = site("processes=2 limit-websockets=100", SMALL);
    site.log.expect(&["limit-websockets lets process groups have 200 WebSockets"]);
    assert!(site.log.text().contains("this Apache can hold 4;"), "{}", site.log.text());
    site.finish();
}

#[test]
fn children_and_processes_have_as_many_descriptors_as_they_can_get() {
    let site = site("", "");
    let members = site.census().into_iter().filter(|member| [Role::Child, Role::Daemon].contains(&member.role));
    for member in members {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", member.pid)).expect("limits");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[3], words[4], "{:?}: {line}", member.role);
    }
    site.finish();
}

#[test]
fn resets_right_behind_the_upgrade_hurt_nobody() {
    let site = site("", "AsyncRequestWorkerFactor 40");
    let mut witness = open(site.port(), 3);
    let mut resets = resets(site.port(), "/echo", 600);
    assert!(resets.wait().expect("an end").success());
    echo(&mut witness, "still there");
    let only_witnesses = || (site.get("/seen").json()["open"] == 3).then_some(());
    eventually(Duration::from_secs(20), only_witnesses).expect("the others are gone");
    assert!(!site.log.text().contains("AH00052"), "a child has crashed");
    site.finish();
}

#[test]
fn a_graceful_restart_keeps_websockets_until_their_processes_say_farewell() {
    let mut site = site("ws-graceful-timeout=6 graceful-timeout=8", "AsyncRequestWorkerFactor 4");
    let mut sockets = open(site.port(), 20);
    let old: Vec<u32> = site.census().into_iter().map(|member| member.pid).collect();
    site.signal(libc::SIGUSR1);
    let is_new = || {
        let children = site.census().into_iter().filter(|member| member.role == Role::Child);
        children.map(|member| member.pid).find(|pid| !old.contains(pid))
    };
    eventually(Duration::from_secs(10), is_new).expect("a new child");
    let mut new = open(site.port(), 2);
    echo(&mut new, "new");
    // Nobody is dropped: who is told to go is told so, and others are still served.
    let begun = std::time::Instant::now();
    for socket in &mut sockets {
        socket.send(TEXT, b"still there");
    }
    let mut served = 0;
    for socket in &mut sockets {
        let (opcode, _) = socket.message().expect("a message, or a close");
        served += usize::from(opcode == TEXT);
        if opcode == TEXT {
            assert_eq!(socket.closed(), Some(1012));
        }
        socket.close(1012);
        assert!(socket.is_over());
    }
    assert!(served >= 3, "{served}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    echo(&mut new, "new");
    drop(new);
    site.finish();
}

#[test]
fn one_record_tells_how_many_a_killed_process_has_lost() {
    let site = site("", "AsyncRequestWorkerFactor 4");
    site.log.expect(&["WSGI1042", "was ended by signal 9", "waits"]);
    let mut first = WebSocket::open(site.port(), "/pid");
    let pid: u32 = first.text().parse().expect("a pid");
    let mut sockets = open(site.port(), 24);
    assert!(kill(pid, libc::SIGKILL));
    for socket in &mut sockets {
        assert_eq!(socket.closed(), None);
    }
    assert_eq!(first.closed(), None);
    site.log.wait_for(&format!("daemon process {pid} has ended without closing 25 WebSockets"));
    assert_eq!(site.log.records_with("WSGI1042").len(), 1);
    site.finish();
}

#[test]
fn a_killed_child_leaves_word_of_its_websockets_and_those_of_others_are_counted_on() {
    let conf = "StartServers 2\nMinSpareThreads 64\nAsyncRequestWorkerFactor 4";
    let site = site("limit-websockets=40", conf);
    site.log.expect(&["WSGI1331", "WSGI1302", "as limit-websockets allows"]);
    let children = || -> Vec<u32> {
        let children = site.census().into_iter().filter(|member| member.role == Role::Child);
        children.map(|member| member.pid).collect()
    };
    eventually(Duration::from_secs(10), || (children().len() >= 2).then_some(())).expect("two children");
    let mut sockets = open(site.port(), 30);
    echo(&mut sockets, "hello");
    let victim = children()[0];
    assert!(kill(victim, libc::SIGKILL));
    let died = site.log.wait_for("WSGI1302");
    let counted = died.split("has died with ").nth(1).and_then(|text| text.split(' ').next()?.parse().ok());
    let lost: usize = counted.unwrap_or(0);
    // Who is lost sees it, and who is not is served.
    let mut left = 0;
    for socket in &mut sockets {
        let echoes = socket.send_bytes(&harness::websocket::frame(0x80 | TEXT, b"there?")).is_ok();
        left += usize::from(echoes && socket.message().is_some());
    }
    assert_eq!(left + lost, 30);
    // They count on: the limit is not above what there is.
    std::thread::sleep(Duration::from_millis(2500));
    let more = open(site.port(), 40 - left);
    assert_eq!(refusal(&site), (503, true));
    drop(more);
    site.finish();
}

#[test]
fn the_access_log_has_all_of_them_when_the_server_stops() {
    let mut site =
        site("", "AsyncRequestWorkerFactor 4\nLogFormat \"%U %>s\" short\nCustomLog {root}/access.log short");
    let mut sockets = open(site.port(), 12);
    echo(&mut sockets, "hello");
    site.stop();
    for socket in &mut sockets {
        let code = socket.closed();
        assert!(matches!(code, None | Some(1001 | 1012)), "{code:?}");
    }
    let log = std::fs::read_to_string(site.root().join("access.log")).expect("a log");
    assert_eq!(log.matches("/echo 101").count(), 12, "{log}");
    site.finish();
}

#[test]
fn with_other_mpms_each_holds_a_worker() {
    for mpm in [Mpm::Worker, Mpm::Prefork] {
        let site = Httpd::builder()
            .app("site.wsgi", APP)
            .conf("WSGIDaemonProcess site interface=asgi worker-limit=2")
            .conf("WSGIScriptAlias / {apps}/site.wsgi process-group=site")
            .mpm(mpm)
            .start();
        each_holds_a_worker(site);
    }
}
