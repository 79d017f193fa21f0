//! Processes that applications fork: they answer nobody, hold nobody's connections, and what they print goes to the
//! error log.

use harness::{Client, Httpd, MODES, Role, Site};
use serde_json::json;
use std::time::Duration;

/// `/<way>?<text>` forks in a way and answers the text, again and again up to the length that comes before it.
const FORKS: &str = r#"
import ctypes, logging, multiprocessing, os, platform, pty, subprocess, sys, threading, time

fork_context = multiprocessing.get_context("fork")
clone = {"x86_64": 56, "aarch64": 220}.get(platform.machine())

def chatter(out=None):
    for i in range(20):
        print("chatter", i, "y" * 200, file=out or sys.stdout)
        sys.stderr.write("half a line")

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

def end(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass

def unknown_to_python(pid):
    """Whether this is the child. There Python may wait for a thread that there is not, and keep the pipes of other children open."""
    if pid > 0:
        threading.Timer(1, end, (pid,)).start()
    return pid == 0

def fork(way):
    """Whether this is the child, which goes on."""
    if way == "c":
        return unknown_to_python(ctypes.PyDLL(None).fork())
    if way == "raw" and clone:
        # No libc knows of it, so no handler of fork runs.
        return unknown_to_python(ctypes.PyDLL(None).syscall(clone, 17, 0, 0, 0, 0))
    return os.fork() == 0

def application(environ, start_response):
    way = environ["PATH_INFO"].strip("/")
    length, _, text = environ["QUERY_STRING"].partition("-")
    if way in ("returns", "c", "raw") and fork(way):
        time.sleep(0.01)
    elif way == "returns-late":
        start_response("200 OK", [("Content-Type", "text/plain")])
        if fork(way):
            time.sleep(0.02)
            return [b"of the child"] * 10
        return [(text * int(length)).encode()]
    elif way == "exits" and os.fork() == 0:
        sys.exit(0)
    elif way == "raises" and os.fork() == 0:
        raise RuntimeError("in the child")
    elif way == "prints" and os.fork() == 0:
        chatter()
        chatter(environ["wsgi.errors"])
        logging.getLogger("forked").error("logged")
        os._exit(0)
    elif way == "reads" and os.fork() == 0:
        try:
            environ["wsgi.input"].read()
        finally:
            os._exit(0)
    elif way == "process":
        fork_context.Process(target=chatter, daemon=True).start()
    elif way == "pty":
        pid, end = pty.fork()
        if pid == 0:
            chatter()
            os._exit(0)
        while True:
            try:
                if not os.read(end, 65536):
                    break
            except OSError:
                break
        os.close(end)
    elif way == "thread":
        def in_thread():
            if os.fork() == 0:
                chatter()
        threading.Thread(target=in_thread).start()
    elif way == "twice" and os.fork() == 0:
        if os.fork() == 0:
            chatter()
        return [b"neither"]
    elif way == "preexec":
        subprocess.run(["true"], preexec_fn=chatter, check=True)
    elif way == "spawn":
        os.posix_spawn("/bin/true", ["true"], {})
    body = (text * int(length)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    if way == "generator":
        def pieces():
            yield body[:10]
            if os.fork() == 0:
                chatter()
            yield body[10:]
        return pieces()
    if way == "closes":
        class Closing(list):
            def close(self):
                if os.fork() == 0:
                    chatter()
        return Closing([body])
    reap()
    return [body]
"#;

const WAYS: [&str; 16] = [
    "returns",
    "returns-late",
    "c",
    "raw",
    "exits",
    "raises",
    "prints",
    "reads",
    "process",
    "pty",
    "thread",
    "twice",
    "preexec",
    "spawn",
    "generator",
    "closes",
];

/// Numbers that look random and are the same each time (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

/// 250 requests of one client on one connection. Every tenth forks.
fn requests(port: u16, mode: &str, number: u64) {
    let (mut client, mut dice) = (Client::connect(port), Dice(number));
    for i in 0..250 {
        let way = if dice.below(10) == 0 { WAYS[dice.below(WAYS.len())] } else { "plain" };
        let length = [1, 100, 3000, 30_000][dice.below(4)];
        let text = format!("{number}.{i}.");
        let path = format!("{mode}/{way}?{length}-{text}");
        let answer = client.exchange("GET", &path, &[], b"").unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((answer.status, answer.complete), (200, true), "{path}");
        assert!(answer.text() == text.repeat(length), "{path}: {} bytes: {:.80}", answer.body.len(), answer.text());
    }
}

#[test]
fn each_answer_belongs_to_its_request_while_children_are_forked_in_every_way() {
    let site = Httpd::both_modes("processes=2 threads=4", FORKS).conf("MaxKeepAliveRequests 0").start();
    site.log.expect(&["chatter", "half a line", "has forked"]);
    for mode in MODES {
        std::thread::scope(|scope| {
            for client in 0..8 {
                scope.spawn({
                    let port = site.port();
                    move || requests(port, mode, client)
                });
            }
        });
    }
    let log = site.log.text();
    assert!(log.contains("It ends here") && !log.contains("panic"), "{}", &log[log.len().saturating_sub(3000)..]);
    // Python is not told of a fork by C, and may wait in the child for a thread that there is not.
    for member in site.census().iter().filter(|member| member.role == Role::Other) {
        harness::kill(member.pid, libc::SIGKILL);
    }
    site.finish();
}

#[test]
fn a_fork_that_cpython_lets_come_to_nothing_gets_a_line_with_the_cure() {
    let forks = r#"
import os
def application(environ, start_response):
    if environ["PATH_INFO"] == "/fork":
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.kill(child, 9)
        os.waitpid(child, 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"#;
    let site = Httpd::builder()
        .app("site.wsgi", forks)
        .conf(
            "WSGIDaemonProcess several\nWSGIDaemonProcess one\n\
             WSGIScriptAlias /main {apps}/site.wsgi process-group=several application-group=%{GLOBAL}\n\
             WSGIScriptAlias /other {apps}/site.wsgi process-group=several application-group=other\n\
             WSGIScriptAlias /alone {apps}/site.wsgi process-group=one application-group=%{GLOBAL}",
        )
        .start();
    // What CPython says of the end of a child, line by line, as far as it comes before the child is killed.
    site.log.expect(&["of 'several'] "]);
    let told = |text: &str| site.log.text().matches(text).count();
    for _ in 0..2 {
        assert_eq!(site.get("/alone/fork").text(), "done");
    }
    assert_eq!(told("WSGI1206: "), 0, "{}", site.log.text());
    assert_eq!(site.get("/other").text(), "done");
    for path in ["/main/fork", "/other/fork", "/main/fork"] {
        assert_eq!(site.get(path).text(), "done", "{path}");
    }
    site.log.wait_for(
        "WSGI1206: An application forks in main interpreter of a process that has several. CPython ends the child there",
    );
    site.log.wait_for("WSGI1206: ");
    assert_eq!(told("WSGI1206: "), 1, "{}", site.log.text());
    site.finish();
}

#[test]
fn a_fork_that_neither_python_nor_libc_knows_of_is_noticed() {
    let site = Httpd::both_modes("", FORKS).start();
    site.log.expect(&["WSGI1207: …has forked let an exception escape"]);
    for (number, path) in MODES.iter().flat_map(|mode| [format!("{mode}/c?1-x"), format!("{mode}/raw?1-x")]).enumerate()
    {
        assert_eq!(site.get(&path).text(), "x", "{path}");
        let told = || (site.log.text().matches("It ends here").count() > number).then_some(());
        assert!(harness::eventually(Duration::from_secs(5), told).is_some(), "{path}: {}", site.log.text());
    }
    site.finish();
}

/// Answers the value of an expression that may fork by `child(function)`, which gives how it ended and what it wrote
/// into a pipe.
const CHILD: &str = r#"
import json, os, socket, sys, time, urllib.parse

def listing():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found

def reopen():
    """Close every descriptor, as a process does that makes itself a daemon, and take all numbers again: are they there in a child?"""
    keep = pipe
    os.closerange(3, keep)
    os.closerange(keep + 1, 200)
    while os.open("/etc/passwd", 0) < 150:
        pass
    return child(lambda: all(os.pread(number, 1, 0) for number in range(3, 150) if number != keep))

def child(function):
    global pipe
    end, pipe = os.pipe()
    pid = os.fork()
    if pid == 0:
        out = pipe
        os.write(out, json.dumps(function()).encode())
        os._exit(0)
    os.close(pipe)
    with os.fdopen(end) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text or "null")

def application(environ, start_response):
    code = urllib.parse.unquote(environ["QUERY_STRING"])
    namespace = dict(globals(), environ=environ)
    value = eval(code, namespace)
    text = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [text]
"#;

#[test]
fn a_child_has_no_socket_of_the_process() {
    let site = Httpd::both_modes("threads=2", CHILD).start();
    // Its Apache child then has an idle connection to a daemon, and one from another client.
    let mut idle = site.client();
    idle.exchange("GET", "/daemon?1", &[], b"").expect("an answer");
    for mode in MODES {
        // The way to the log stays, which says whose records they are; an Apache child has both ends of it.
        let logs = if mode == "/daemon" { 1 } else { 2 };
        assert_eq!(site.get(&format!("{mode}?len(child(listing))")).json(), json!(logs), "{mode}");
        let own = "[s:=socket.socketpair(),child(listing)]and%20len(child(listing))";
        assert_eq!(
            site.get(&format!("{mode}?{own}")).json(),
            json!(logs + 2),
            "{mode}: an application's own sockets stay"
        );
        assert_ne!(site.get(&format!("{mode}?listing()")).json(), json!([]), "{mode}");
    }
    site.finish();
}

#[test]
fn what_a_child_opens_is_its_own_and_its_childrens() {
    let site = Httpd::both_modes("threads=2", CHILD).start();
    for mode in MODES {
        assert_eq!(site.get(&format!("{mode}?child(reopen)")).json(), json!(true), "{mode}");
    }
    site.finish();
}

#[test]
fn what_a_child_prints_that_has_made_itself_a_daemon_is_on_its_standard_error_and_nowhere_else() {
    let application = r#"
import os, socket, sys

def application(environ, start_response):
    end, write = os.pipe()
    if os.fork() == 0:
        os.dup2(write, 2)
        os.closerange(3, 300)
        pairs = [socket.socketpair() for _ in range(10)]
        print("to standard error")
        for pair in pairs:
            for one in pair:
                one.setblocking(False)
                try:
                    os.write(2, b"found " + one.recv(1000))
                except BlockingIOError:
                    pass
        os._exit(0)
    os.close(write)
    with os.fdopen(end, "rb") as file:
        body = file.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"#;
    let site = Httpd::site("threads=2", application).start();
    assert_eq!(site.get("/").text(), "to standard error\n");
    site.finish();
}

#[test]
fn a_child_keeps_no_client_waiting() {
    let site = Httpd::both_modes("threads=2", CHILD).start();
    for mode in MODES {
        let mut client = site.client();
        let path = format!("{mode}?os.fork()or[time.sleep(60),os._exit(0)]");
        let answer = client.exchange("GET", &path, &["Connection: close"], b"").expect("an answer");
        let child = answer.text().trim().parse().expect("a pid");
        assert!(client.is_closed() && harness::alive(child), "{mode}: the end of the connection is seen at once");
        assert!(harness::kill(child, libc::SIGTERM), "{mode}");
        let ends =
            || site.get(&format!("{mode}?os.waitpid({child},os.WNOHANG)[1]")).json().as_u64().filter(|s| *s != 0);
        let status = harness::eventually(Duration::from_secs(5), ends);
        assert_eq!(status, Some(15), "{mode}: a signal ends it, and asks nothing of the server");
    }
    site.finish();
}

#[test]
fn how_a_child_comes_back_is_logged_and_is_its_exit_code() {
    let site = Httpd::both_modes("threads=2", CHILD).start();
    for mode in MODES {
        for (end, status, told) in [
            ("sys.exit(3)", 3 << 8, None),
            ("sys.exit()", 0, None),
            ("sys.exit('last%20words')", 1 << 8, Some("last words")),
            ("1/0", 1 << 8, Some("ZeroDivisionError")),
            // `start_response` refuses.
            ("0", 1 << 8, Some("start_response() called in a process that the application has forked")),
        ] {
            let path = format!("{mode}?[p:=os.fork(),p%20or%20{end},os.waitpid(p,0)if%20p%20else%20[0,0]][2][1]");
            assert_eq!(site.get(&path).json(), json!(status), "{path}");
            if let Some(told) = told {
                site.log.wait_for(told);
            }
        }
    }
    site.finish();
}

#[test]
fn what_a_child_prints_is_in_the_log_as_its_own() {
    let site = Httpd::both_modes("threads=2", CHILD).start();
    for mode in MODES {
        let print = |way: &str| format!("[print('{way}%20of'+'%20a%20child',{way}),os.getpid()][1]");
        for way in ["file=sys.stdout", "file=sys.stderr", "file=environ['wsgi.errors']"] {
            let code = print(way).replace("'file=sys.", "'").replace("'file=environ['wsgi.errors']", "'errors");
            let pid = site.get(&format!("{mode}?child(lambda:{code})")).json();
            let name = way.rsplit(['.', '\'']).find(|part| part.len() > 3).unwrap_or_default();
            let records = site.log.records_with(&format!("{name} of a child"));
            let record = records.last().unwrap_or_else(|| panic!("{mode} {way}: {}", site.log.text()));
            let names = [format!("[pid {pid}:"), format!("[daemon {pid} of 'site']")];
            assert!(names.iter().any(|name| record.contains(name)), "{record}");
            assert!(!record.contains("[client ") && !record.contains("[remote "), "{record}");
        }
    }
    site.finish();
}
