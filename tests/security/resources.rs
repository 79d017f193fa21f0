//! What one side can make another spend has a bound, and a test goes to it.

use harness::{Httpd, PROBE, Role, Site};
use serde_json::json;
use std::time::{Duration, Instant};

/// `/leak` takes every descriptor that there is, and keeps it.
const LEAKS: &str = r#"
import os, resource, time

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
kept = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        try:
            while True:
                kept.append(os.open("/dev/null", 0))
        except OSError:
            pass
    elif environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn a_process_without_descriptors_is_replaced_and_does_not_fill_the_log() {
    let site = Httpd::site("threads=4", LEAKS).start();
    site.log.expect(&["WSGI1415: ", "WSGI1307: …did not end within its shutdown-timeout"]);
    let leaking = site.get("/leak").text();
    // More at once than there are connections, so that some have to be accepted.
    let began = Instant::now();
    let clients: Vec<_> = (0..8).map(|_| site.in_background("/slow")).collect();
    let answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client").0).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}: {}", site.log.text());
    assert!(answers.iter().any(|answer| answer.text() != leaking), "nobody took its place: {}", site.log.text());
    // What is noticed every 100 ms is told once.
    let log = site.log.text();
    assert_eq!(log.matches("WSGI1415: ").count(), 1, "{} s: {log}", began.elapsed().as_secs());
    assert!(log.contains("(exhausted)") && log.len() < 8 << 10, "{log}");
    let gone = || (site.get("/slow").text() != leaking).then_some(());
    assert!(harness::eventually(Duration::from_secs(10), gone).is_some());
    site.finish();
}

/// Asks for the request's body as long as somebody answers, and reads none of the answers, or all; or logs without end;
/// or says each time that it gets the request that its script has changed, which it has not.
const ASKS: &str = r#"
import os, struct, sys
sys.path.insert(0, os.path.dirname(__file__))
from frames import *

def reject(connection, number):
    while True:
        connection.sendall(stamped(frame(REJECT, b"\0"), number))
        data = connection.recv(1 << 16)
        while data:
            length, _, _, number = struct.unpack("=IBBH", data[:8])
            data = data[8 + length:]

def application(environ, start_response):
    connection, number = exchange(environ)
    page = environ["PATH_INFO"]
    said = log(b"again") if page == "/logs" else frame(PULL, struct.pack("=I", 0))
    try:
        if page == "/rejects":
            reject(connection, number)
        while True:
            connection.sendall(stamped(said, number) * (1000 if page == "/asks" else 1))
            if page == "/reads":
                connection.recv(8)
            elif page == "/logs":
                time.sleep(0.01)
    except OSError:
        pass
    start_response("200 OK", [])
    return [b"asked"]
"#;

#[test]
fn who_asks_or_logs_without_end_and_makes_no_progress_has_one_socket_timeout() {
    let site = Httpd::site("threads=4 socket-timeout=1", ASKS).app("frames.py", include_str!("frames.py")).start();
    site.log.expect(&["WSGI1027: ", "again", "WSGI1014: "]);
    // A thousand questions whose answers nobody takes would otherwise wait for a second each.
    for page in ["/asks", "/reads", "/logs"] {
        assert_eq!(site.get(page).status, 504, "{page}");
    }
    assert_eq!(site.get("/rejects").status, 503);
    site.finish();
}

/// Interpreters of a process, the main one included: `wsgi_wire::limits::INTERPRETERS`.
const INTERPRETERS: usize = 64;

/// Counts the interpreters of the process: `_interpreters` and its older name know.
const COUNT: &str =
    "len(__import__('_interpreters'%20if%20sys.version_info%3E=(3,13)else'_xxsubinterpreters').list_all())";

/// Two applications in each mode, so that none has the main interpreter for itself.
fn two_applications(application_group: &str) -> Httpd {
    Httpd::builder()
        .app("site.wsgi", PROBE)
        .conf(&format!(
            "WSGIDaemonProcess site threads=2\nUseCanonicalName Off\n\
             WSGIScriptAlias /daemon {{apps}}/site.wsgi process-group=site {application_group}\n\
             WSGIScriptAlias /other {{apps}}/site.wsgi process-group=site\n\
             WSGIScriptAlias /embedded {{apps}}/site.wsgi {application_group}"
        ))
        .start()
}

#[test]
fn the_port_of_a_host_header_makes_no_interpreter() {
    for application_group in ["", "application-group=%{SERVER}"] {
        let site = two_applications(application_group);
        for mode in harness::MODES {
            let path = format!("{mode}?{COUNT}");
            let ask = |host: &str| site.request("GET", &path, &[("Host", host)], b"").json();
            let before = ask(&format!("localhost:{}", site.port()));
            for port in 1001..1012 {
                assert_eq!(ask(&format!("localhost:{port}")), before, "{mode} {application_group}");
            }
            let name = site.ask_at(mode, "environ['mod_wsgi.application_group']");
            let expected = if application_group.is_empty() { format!("|{mode}") } else { String::new() };
            assert_eq!(name, json!(format!("localhost:{}{expected}", site.port())));
        }
        site.finish();
    }
}

#[test]
fn where_a_client_names_application_groups_there_is_a_bound_on_interpreters_and_one_record_about_it() {
    let site = two_applications("application-group=%{HOST}");
    for mode in harness::MODES {
        let answers: Vec<u16> = (0..INTERPRETERS + 5)
            .map(|n| site.request("GET", &format!("{mode}?1"), &[("Host", &format!("h{n}.test"))], b"").status)
            .collect();
        assert!(answers[..INTERPRETERS - 4].iter().all(|status| *status == 200), "{mode} {answers:?}");
        assert!(answers[INTERPRETERS..].iter().all(|status| *status == 503), "{mode} {answers:?}");
        let path = format!("{mode}?{COUNT}");
        let count = site.request("GET", &path, &[("Host", "h0.test")], b"").json();
        assert!(count.as_u64().is_some_and(|n| n <= INTERPRETERS as u64), "{mode}: {count}");
    }
    assert_eq!(site.log.records_with("WSGI1422: ").len(), 2, "one for each process");
    site.finish();
}

/// Answers `/endless` with content that never ends.
const ENDLESS: &str = r#"
import time

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] != "/endless":
        return [b"hello"]
    def content():
        while True:
            yield b"x" * 1000
            time.sleep(0.1)
    return content()
"#;

#[test]
fn one_group_never_keeps_all_workers_of_apache() {
    let site = Httpd::builder()
        .app("site.wsgi", ENDLESS)
        .file("htdocs/page.txt", "static")
        .conf(
            "ServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n\
             WSGIDaemonProcess one threads=20 queue-size=4\nWSGIDaemonProcess two threads=1\n\
             WSGIScriptAlias /one {apps}/site.wsgi process-group=one application-group=%{GLOBAL}\n\
             WSGIScriptAlias /two {apps}/site.wsgi process-group=two application-group=%{GLOBAL}",
        )
        .start();
    assert_eq!(site.get("/one").text(), "hello", "it has started");
    let mut clients: Vec<_> = (0..20).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send_head("GET", "/one/endless", &["Connection: close"]).expect("sent");
    }
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.status().expect("a status")).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 12, "three fourths of 16: {statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert_eq!(site.get("/two").text(), "hello");
    assert_eq!(site.get("/page.txt").text(), "static");
    let refused = site.get("/one");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    site.log.wait_for("WSGI1019: ");
    drop(clients);
    harness::eventually(std::time::Duration::from_secs(20), || (site.get("/one").status == 200).then_some(()))
        .expect("workers come back when their clients have gone");
    site.finish();
}

#[test]
fn a_busy_server_turns_nobody_away_for_being_busy() {
    const BUSY: &str = "import time\ndef application(environ, start_response):\n    time.sleep(0.002)\n    \
                        start_response('200 OK', [])\n    return [b'hello']\n";
    let site = Httpd::site("threads=4", BUSY)
        .conf("ServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16")
        .start();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(site.get("/").status, 200)));
        }
    });
    site.finish();
}

#[test]
fn a_burst_of_visitors_is_served_although_more_wait_than_will_soon_have_a_worker() {
    const SLOW: &str = "import time\ndef application(environ, start_response):\n    time.sleep(0.1)\n    \
                        start_response('200 OK', [])\n    return [b'hello']\n";
    let site = Httpd::site("threads=2 worker-limit=2", SLOW).start();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(site.get("/").status, 200));
        }
    });
    site.finish();
}

#[test]
fn a_group_has_the_workers_that_it_is_given() {
    for (limit, expected) in [("worker-limit=1", [200, 503]), ("worker-limit=0", [200, 200])] {
        let site = Httpd::site(&format!("threads=5 {limit}"), ENDLESS).start();
        site.log.expect(&["WSGI1019: "]);
        let mut clients = [site.client(), site.client()];
        let statuses = clients.each_mut().map(|client| {
            client.send_head("GET", "/endless", &[]).expect("sent");
            client.status().expect("a status")
        });
        assert_eq!(statuses, expected, "{limit}");
        drop(clients);
        site.finish();
    }
}

/// Answers `/read` with the length of the body, `/lines` with its lines as they come, and anything else with a
/// greeting.
const READS: &str = r#"
def application(environ, start_response):
    input, page = environ["wsgi.input"], environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if page == "/lines":
        return iter(input.readline, b"")
    return [str(len(input.read())).encode() if page == "/read" else b"hello"]
"#;

#[test]
fn clients_that_stop_in_their_bodies_keep_nobody_out() {
    let site = Httpd::site("threads=3", READS).conf("WSGIChunkedRequest On\nTimeout 60").start();
    site.log.expect(&["WSGI0174: "]);
    assert_eq!(site.get("/").text(), "hello");
    for (headers, sent) in [
        (&["Content-Length: 100", "Expect: 100-continue"][..], &b""[..]),
        (&["Content-Length: 70000", "Expect: 100-continue"], b""),
        (&["Content-Length: 5000000", "Expect: 100-continue"], b""),
        (&["Content-Length: 100"], b"some"),
        (&["Content-Length: 70000"], b"some"),
        (&["Content-Length: 5000000"], b"some"),
        (&["Transfer-Encoding: chunked"], b"4\r\nsome\r\n"),
    ] {
        let mut clients: Vec<_> = (0..9).map(|_| site.client()).collect();
        for client in &mut clients {
            client.send_head("POST", "/read", headers).expect("sent");
            client.send(sent).expect("sent");
        }
        for _ in 0..20 {
            assert_eq!(site.get("/").text(), "hello", "{headers:?}");
        }
    }
    site.finish();
}

#[test]
fn a_body_that_comes_slowly_takes_no_thread_until_it_is_there() {
    // One thread: who had it would keep out everybody.
    let site = Httpd::site("threads=1", READS).start();
    for length in [1000, 70_000, 300_000] {
        for expect in [&["Expect: 100-continue"][..], &[]] {
            if length > 65_536 && !expect.is_empty() {
                continue;
            }
            let mut client = site.client();
            let announced = format!("Content-Length: {length}");
            let headers = [&[&*announced], expect].concat();
            client.send_head("POST", "/read", &headers).expect("sent");
            if !expect.is_empty() {
                assert!(client.answers().expect("100 Continue"));
            }
            client.send(&vec![b'x'; length - 200]).expect("sent");
            let mut left = 200;
            // A slow client never stops for as long as a client that waits for its answer.
            let (mut sent, mut longest_pause) = (Instant::now(), Duration::ZERO);
            std::thread::scope(|scope| {
                let other = scope.spawn(|| assert_eq!(site.get("/").text(), "hello", "{headers:?}"));
                while !other.is_finished() && left > 1 {
                    client.send(b"x").expect("sent");
                    left -= 1;
                    longest_pause = longest_pause.max(sent.elapsed());
                    sent = Instant::now();
                    std::thread::park_timeout(Duration::from_millis(50));
                }
                // Where the machine was too busy for that, nothing has been tried.
                let was_tried = longest_pause < Duration::from_millis(500);
                assert!(other.is_finished() || !was_tried, "{headers:?}: kept out by a slow client");
                client.send(&vec![b'x'; left]).expect("sent");
            });
            let answer = client.answer("POST").expect("an answer");
            assert_eq!(answer.text(), length.to_string());
            assert_eq!(answer.interim.len(), expect.len(), "{headers:?}");
        }
    }
    site.finish();
}

#[test]
fn a_client_may_wait_for_an_answer_before_it_sends_the_rest_of_a_body() {
    let site = Httpd::both_modes("threads=2", READS).conf("WSGIChunkedRequest On").start();
    site.log.expect(&["WSGI0174: "]);
    for mode in harness::MODES {
        let mut client = site.client();
        client.send_head("POST", &format!("{mode}/lines"), &["Transfer-Encoding: chunked"]).expect("sent");
        for line in ["one\n", "two\n"] {
            client.send(format!("4\r\n{line}\r\n").as_bytes()).expect("sent");
            if line == "one\n" {
                assert_eq!(client.status().expect("a status"), 200, "{mode}");
            }
            client.read("4\r\none\n\r\n".len()).expect("an answer to this line");
        }
    }
    site.finish();
}

/// Streams as many MiB as the query string says, in small pieces or, as memory files, in large ones.
const STREAMS: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    size = 300_000 if environ["PATH_INFO"] == "/large" else 20_000
    pieces = int(environ["QUERY_STRING"] or 0) * 2**20 // size
    for n in range(pieces):
        yield bytes([n % 251]) * size
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("in the midst")
"#;

/// What a client does not take is kept on a disk where some room is left to others: says so where there is less, as
/// nothing is kept then.
fn assert_there_is_room() {
    let output = std::process::Command::new("df").args(["-P", "-k", "/var/tmp"]).output().expect("df");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = text.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).expect("a number of KiB");
    let others = (number(1) / wsgi_wire::limits::KEPT_LEAVES).min(wsgi_wire::limits::KEPT_LEAVES_AT_MOST >> 10);
    assert!(number(3) > others, "this test needs more than {others} KiB on the disk of /var/tmp:\n{text}");
}

#[test]
fn clients_that_read_nothing_keep_nobody_out_and_get_all_of_a_stream() {
    assert_there_is_room();
    // In a group of two processes a busy one would not be given anything.
    for group in ["threads=2", "processes=2 threads=1"] {
        let site = Httpd::site(group, STREAMS).start();
        for (page, size) in [("/small", 20_000), ("/large", 300_000)] {
            let pieces = 24 * (1 << 20) / size;
            let mut clients: Vec<_> = (0..4).map(|_| site.client()).collect();
            for client in &mut clients {
                client.send_head("GET", &format!("{page}?24"), &[]).expect("sent");
                assert!(client.answers().expect("an answer"), "{group} {page}");
            }
            // They read nothing more; the threads are free all the same.
            for _ in 0..10 {
                assert_eq!(site.get("/").status, 200, "{group} {page}");
            }
            for client in &mut clients {
                let answer = client.answer("GET").expect("the answer");
                assert!(answer.complete && answer.body.len() == pieces * size, "{group} {page}");
                let mut kept = answer.body.chunks(size).enumerate();
                assert!(kept.all(|(n, piece)| piece.iter().all(|byte| *byte == (n % 251) as u8)), "{group} {page}");
            }
        }
        site.finish();
    }
}

#[test]
fn a_stream_that_breaks_off_while_nobody_reads_it_does_not_look_whole() {
    assert_there_is_room();
    let site = Httpd::site("threads=1", STREAMS).start();
    site.log.expect(&["WSGI0174: "]);
    let mut client = site.client();
    client.send_head("GET", "/broken?24", &[]).expect("sent");
    assert!(client.answers().expect("an answer"));
    assert_eq!(site.get("/").status, 200);
    let answer = client.answer("GET").expect("the answer");
    assert!(!answer.complete, "{} bytes", answer.body.len());
    assert_eq!(answer.body.len(), 24 * (1 << 20) / 20_000 * 20_000, "what was streamed arrives");
    site.finish();
}

/// What a client of HTTP/2 says that asks for a page and takes no more of it than what the protocol begins with.
fn asks_by_http2(path: &str) -> Vec<u8> {
    let text = |text: &[u8]| [&[text.len() as u8], text].concat();
    // GET and http by their numbers in the static table, path and authority in letters.
    let head = [&[0x82, 0x86, 0x04][..], &text(path.as_bytes()), &[0x01], &text(b"localhost")].concat();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream][..], payload].concat()
    };
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[]), frame(1, 5, 1, &head)].concat()
}

#[test]
fn clients_of_http2_that_read_nothing_keep_nobody_out() {
    let Some(http2) = harness::module("http2") else {
        eprintln!("not run: this Apache has no mod_http2");
        return;
    };
    assert_there_is_room();
    let conf = format!("LoadModule http2_module {}\nProtocols h2c http/1.1\nTimeout 60", http2.display());
    for group in ["threads=1", "threads=4", "processes=2 threads=1"] {
        let site = Httpd::site(group, STREAMS).conf(&conf).start();
        for page in ["/small", "/large"] {
            let mut clients: Vec<_> = (0..5).map(|_| site.client()).collect();
            for client in &mut clients {
                client.send(&asks_by_http2(&format!("{page}?24"))).expect("sent");
                // More than frames without content take: something of the page has come.
                client.read(10_000).expect("an answer");
            }
            for _ in 0..10 {
                assert_eq!(site.get("/").status, 200, "{group} {page}");
            }
        }
        site.finish();
    }
}

/// A child of Apache's that keeps a response for a slow client, and the file.
fn kept(site: &Httpd) -> Option<std::path::PathBuf> {
    let is_kept = |file: &std::path::PathBuf| {
        let target = std::fs::read_link(file).unwrap_or_default();
        ["/var/tmp/", "/tmp/"].iter().any(|directory| target.starts_with(directory))
            && target.to_string_lossy().ends_with(" (deleted)")
    };
    let files =
        |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|fd| fd.path());
    let children = site.census().into_iter().filter(|member| member.role == Role::Child);
    children.flat_map(|child| files(child.pid)).find(is_kept)
}

#[test]
fn what_is_kept_for_a_slow_client_and_cannot_be_read_is_said_to_be_our_failure() {
    assert_there_is_room();
    let site = Httpd::site("threads=1", STREAMS).start();
    let mut client = site.client();
    client.send_head("GET", "/small?24", &[]).expect("sent");
    assert!(client.answers().expect("an answer"));
    let file = harness::eventually(Duration::from_secs(10), || kept(&site)).expect("a file");
    assert_eq!(site.get("/").status, 200, "the application has finished");
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("it can be opened as its owner, or root");
    file.set_len(0).expect("as if the disk had lost it");
    let answer = client.answer("GET");
    assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.complete));
    site.log.wait_for("WSGI1028: what was kept of the response for a slow client cannot be read");
    assert_eq!(site.get("/").status, 200);
    site.finish();
}

/// Says the same to the supervisor again and again.
const TALKS: &str = r#"
import os, sys, time
sys.path.insert(0, os.path.dirname(__file__))
from frames import *

WANTED = 52
SAID = {"/wanted": frame(WANTED), "/loaded": frame(LOADED, text(b"/nowhere.wsgi") + text(b"") + text(b"application")),
        "/retiring": frame(RETIRING, bytes([12, 0])), "/records": b"nonsense"}

def application(environ, start_response):
    said = SAID.get(environ["PATH_INFO"])
    start_response("200 OK", [])
    if not said:
        return [b"hello"]
    records = environ["PATH_INFO"] == "/records"
    channel = socket.socket(fileno=os.dup(7 if records else 3))
    channel.setblocking(False)
    end = time.time() + 4
    while time.time() < end:
        try:
            channel.send(said if records else said * 100)
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            break
    return [b"said"]
"#;

#[test]
fn what_a_process_says_without_end_costs_the_supervisor_little() {
    for page in ["/wanted", "/loaded", "/retiring", "/records"] {
        let site = Httpd::builder()
            .app("site.wsgi", TALKS)
            .app("frames.py", include_str!("frames.py"))
            .app("bank.wsgi", harness::HELLO)
            .conf(
                "WSGIDaemonProcess site threads=2 server-metrics=On\nWSGIDaemonProcess bank\n\
                 WSGIScriptAlias /bank {apps}/bank.wsgi process-group=bank application-group=%{GLOBAL}\n\
                 WSGIScriptAlias / {apps}/site.wsgi process-group=site application-group=%{GLOBAL}",
            )
            .start();
        site.log.expect(&["WSGI1311: ", "WSGI1307: …has exceeded rss-limit", "WSGI1314: "]);
        assert_eq!(site.get("/hello").text(), "hello");
        let supervisor = site.census().into_iter().find(|member| member.role == Role::Supervisor).expect("one").pid;
        let before = processor_time(supervisor);
        assert_eq!(site.get(page).status, 200, "{page}");
        let used = processor_time(supervisor) - before;
        // Of four seconds; without a bound it is one to four.
        assert!(used < Duration::from_millis(400), "{page}: {used:?}");
        assert!(site.log.text().len() < 16 << 10, "{page}: {}", site.log.text());
        assert_eq!(site.get("/bank").status, 200);
        site.finish();
    }
}

/// What a process has had of a processor.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("a process");
    let spent = stat.split_whitespace().next().and_then(|spent| spent.parse().ok());
    Duration::from_nanos(spent.expect("nanoseconds"))
}

#[test]
fn groups_that_take_all_workers_they_can_leave_some_to_others() {
    let groups: String = ["one", "two", "three"]
        .map(|group| {
            format!(
                "WSGIDaemonProcess {group} threads=20\n\
                 WSGIScriptAlias /{group} {{apps}}/site.wsgi process-group={group} application-group=%{{GLOBAL}}\n"
            )
        })
        .concat();
    let site = Httpd::builder()
        .app("site.wsgi", ENDLESS)
        .file("htdocs/page.txt", "static")
        .conf("ServerLimit 1\nThreadsPerChild 16\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\nKeepAlive Off")
        .conf(&groups)
        .start();
    for group in ["/one", "/two", "/three"] {
        assert_eq!(site.get(group).text(), "hello", "it has started");
    }
    let mut clients = Vec::new();
    let mut statuses = Vec::new();
    for group in ["/one", "/two"].repeat(9) {
        let mut client = site.client();
        client.send_head("GET", &format!("{group}/endless"), &["Connection: close"]).expect("sent");
        statuses.push(client.status().expect("a status"));
        clients.push(client);
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(served, 12, "three fourths of 16, for both together: {statuses:?}");
    site.log.wait_for("WSGI1020: requests of all process groups keep as many");
    assert_eq!(site.get("/three").text(), "hello");
    assert_eq!(site.get("/page.txt").text(), "static");
    drop(clients);
    site.finish();
}
