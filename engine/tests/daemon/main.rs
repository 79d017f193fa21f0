//! A whole daemon process against the wire: what an Apache child sees of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod asgi;
mod harness;
mod instructions;
mod mutated;
mod own_gil;
mod websocket;

use harness::Process;
use wsgi_wire::codec::Wire;
use wsgi_wire::control::{Drain, Reason};
use wsgi_wire::frame::Kind;
use wsgi_wire::request::Body;
use wsgi_wire::response::End;

const APP: &str = r#"
import os, sys, time
import atexit, threading
import mod_wsgi
local = threading.local()
atexit.register(lambda: os.write(2, ("exit of '%s'\n" % mod_wsgi.application_group).encode()))
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise LookupError("no such thing")
    if path == "/late":
        def items():
            start_response("200 OK", [])
            yield b"partly "
            raise LookupError("in the middle")
        return items()
    if path == "/print":
        print("hello", end=" ")
        print("log", file=environ["wsgi.errors"])
    if path == "/slow":
        os.write(2, b"it is slow\n")
        time.sleep(0.5)
    if path == "/group":
        body = mod_wsgi.application_group.encode()
    elif path == "/environ":
        body = repr(sorted((k, v) for k, v in environ.items() if k.startswith(("wsgi.", "SERVER", "mod_wsgi.")))).encode()
    elif path == "/client":
        body = repr(sorted(k for k in environ if k.startswith(("HTTP_", "CONTENT_"))) + [k for k, v in environ.items() if v is None]).encode()
    elif path == "/active":
        known = "active_requests" in vars(mod_wsgi)
        mine = mod_wsgi.active_requests[environ["mod_wsgi.request_id"]]
        body = repr((known, list(mod_wsgi.active_requests), mine is mod_wsgi.request_data())).encode()
    elif path == "/read":
        body = environ["wsgi.input"].read()
    elif path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    elif path == "/standard":
        print("out")
        print("err", file=sys.stderr)
        body = str(sys.stdout.name).encode()
    elif path == "/local":
        local.count = getattr(local, "count", 0) + 1
        body = b"%d" % local.count
    elif path == "/large":
        body = b"x" * 1000000
    elif path == "/larger":
        body = b"x" * 3000000
    else:
        body = b"hello world"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"#;

#[test]
fn requests_are_answered_one_after_the_other_on_one_connection() {
    let process = Process::start("hello", APP, |_| {});
    let mut connection = process.connect();
    for _ in 0..100 {
        let answer = connection.get("/");
        assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "hello world", Some(End::Complete)));
        assert_eq!(answer.header("Content-Length"), Some("11"));
    }
}

#[test]
fn a_script_that_the_configuration_leads_nobody_to_is_not_run_whoever_asks() {
    let process = Process::start("refused", APP, |settings| settings.allowed = Some(vec!["/srv/apps".into()]));
    let answer = process.connect().get("/");
    assert_eq!((answer.failed, answer.text().as_str()), (Some(500), ""));
    let record = "app.wsgi' is refused: the configuration leads no request";
    assert!(answer.records.iter().any(|(_, text)| text.contains(record)), "{:?}", answer.records);
}

#[test]
fn the_environ_has_what_the_specification_wants() {
    let process = Process::start("environ", APP, |_| {});
    let text = process.connect().get("/environ").text();
    for part in [
        "('SERVER_NAME', 'example.test')",
        "('wsgi.url_scheme', 'http')",
        "('wsgi.version', (1, 0))",
        "('mod_wsgi.thread_id', ",
        "('mod_wsgi.queue_start', 2.0)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn an_environ_has_what_its_own_request_says_and_nothing_of_others() {
    let process = Process::start("client", APP, |_| {});
    let mut connection = process.connect();
    let mut keys = |vars: &[(&str, &str)]| {
        connection.send(0, &[&[("PATH_INFO", "/client")], vars].concat(), Body::None);
        connection.answer(&mut std::iter::empty()).text()
    };
    let (cookie, other) = (("HTTP_COOKIE", "a=b"), ("HTTP_X_OTHER", "c"));
    assert_eq!(
        keys(&[cookie, ("CONTENT_TYPE", "text/plain"), other]),
        "['CONTENT_TYPE', 'HTTP_COOKIE', 'HTTP_X_OTHER']"
    );
    assert_eq!(keys(&[]), "[]");
    assert_eq!(keys(&[("HTTP_HOST", "example.test"), cookie]), "['HTTP_COOKIE', 'HTTP_HOST']");
}

#[test]
fn active_requests_are_shown_from_the_first_look_on_as_long_as_they_run() {
    let process = Process::start("active", APP, |_| {});
    let mut connection = process.connect();
    let mut look = |id: &str| {
        connection.send(0, &[("PATH_INFO", "/active"), ("mod_wsgi.request_id", id)], Body::None);
        connection.answer(&mut std::iter::empty()).text()
    };
    assert_eq!(look("one"), "(False, ['one'], True)");
    assert_eq!(look("two"), "(True, ['two'], True)");
}

#[test]
fn a_body_is_pulled_only_when_it_is_read() {
    let process = Process::start("pull", APP, |_| {});
    let mut connection = process.connect();
    let mut pieces = [b"some ".to_vec(), b"data".to_vec()].into_iter();
    connection.send(0, &[("PATH_INFO", "/")], Body::Pull(None));
    assert_eq!(connection.answer(&mut pieces).text(), "hello world");
    assert_eq!(pieces.len(), 2);
    connection.send(0, &[("PATH_INFO", "/read")], Body::Pull(Some(9)));
    assert_eq!(connection.answer(&mut pieces).text(), "some data");
    connection.send(0, &[("PATH_INFO", "/read")], Body::Inline(b"inline"));
    assert_eq!(connection.answer(&mut pieces).text(), "inline");
}

#[test]
fn an_exception_is_one_record_with_its_frames() {
    let process = Process::start("fail", APP, |_| {});
    let mut connection = process.connect();
    let answer = connection.get("/fail");
    assert_eq!((answer.failed, answer.records.len()), (Some(500), 1));
    let record = &answer.records[0].1;
    assert!(
        record.contains("Traceback")
            && record.contains("in application")
            && record.ends_with("LookupError: no such thing"),
        "{record}"
    );
    let answer = connection.get("/late");
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "partly ", Some(End::Truncated)));
    assert_eq!(connection.get("/").status, 200);
}

#[test]
fn output_of_a_request_travels_with_it() {
    let process = Process::start("print", APP, |_| {});
    let records = process.connect().get("/print").records;
    assert_eq!(records.len(), 1);
    assert!(records[0].1.ends_with("hello log"), "{records:?}");
}

#[test]
fn large_content_goes_through_shared_memory_and_keeps_no_thread_when_nobody_takes_it() {
    let process = Process::start("shared", APP, |settings| settings.threads = 1);
    let mut slow = process.connect();
    for _ in 0..2 {
        slow.send(0, &[("PATH_INFO", "/larger")], Body::None);
        assert_eq!(process.connect().get("/").text(), "hello world");
        // What did not fit into the memory, which is there again for each exchange, has come as a file.
        let answer = slow.answer(&mut std::iter::empty());
        assert_eq!((answer.body.len(), answer.end), (3_000_000, Some(End::Complete)));
        let files = answer.body.iter().position(|byte| *byte == b'F');
        assert_eq!((answer.body[0], files), (b'R', Some(wsgi_wire::ring::ROOM)));
    }
}

#[test]
fn large_content_goes_through_the_socket_and_keeps_no_thread_when_nobody_takes_it() {
    let process = Process::start("large", APP, |settings| settings.threads = 1);
    // They have all the memory that there is for such content.
    let mut others: Vec<_> = (0..16).map(|_| process.connect()).collect();
    assert!(others.iter_mut().all(|other| other.get("/large").body == [b'R'; 1_000_000]));
    // Even this end may be slow, on a machine that is busy: then a part comes as a file.
    let body = process.connect().get("/large").body;
    assert!((body.len(), body[0]) == (1_000_000, b'x') && !body.contains(&b'R'));
    let mut slow = process.connect();
    slow.send(0, &[("PATH_INFO", "/large")], Body::None);
    assert_eq!(process.connect().get("/").text(), "hello world");
    // What did not fit into the socket has come as a file.
    let answer = slow.answer(&mut std::iter::empty());
    assert_eq!((answer.body.len(), answer.end), (1_000_000, Some(End::Complete)));
    assert_eq!((answer.body[0], answer.body[999_999]), (b'x', b'F'));
}

#[test]
fn application_groups_are_interpreters_of_their_own() {
    let mut process = Process::start("groups", APP, |_| {});
    let mut connection = process.connect();
    let script = process.script();
    for (id, group) in [(1, "one"), (2, "two")] {
        connection.announce(id, script.to_str().unwrap(), group);
    }
    for _ in 0..20 {
        for (id, group) in [(0, ""), (1, "one"), (2, "two")] {
            connection.send(id, &[("PATH_INFO", "/group")], Body::None);
            assert_eq!(connection.answer(&mut [].into_iter()).text(), group, "{}", process.log());
        }
    }
    process.say(Kind::Stop, |_| {});
    assert!(process.wait().success(), "{}", process.log());
}

#[test]
fn a_changed_script_is_rejected_until_there_is_a_successor_or_there_can_be_none() {
    let mut process = Process::start("reload", APP, |_| {});
    let mut connection = process.connect();
    assert_eq!(connection.get("/").status, 200);
    std::fs::File::open(process.script()).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(connection.get("/").rejected);
    assert_eq!(process.expect_retiring(), (Reason::ScriptReload, true));
    assert!(connection.get("/").rejected);
    process.say(Kind::Resume, |_| {});
    let mut served = || (connection.get("/").status == 200).then_some(());
    assert!(
        (0..100).map(|_| std::thread::sleep(std::time::Duration::from_millis(10))).find_map(|()| served()).is_some()
    );
    process.say(Kind::Drain, |out| Drain { reason: Reason::ScriptReload, patient: false }.put(out));
    assert!(process.wait().success(), "{}", process.log());
}

#[test]
fn with_rolling_reload_a_changed_script_serves_on_and_asks_once_for_each_version() {
    let mut process = Process::start("rolling", APP, |settings| settings.rolling_reload = true);
    let mut connection = process.connect();
    assert_eq!(connection.get("/").status, 200);
    for second in [7, 8] {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::open(process.script()).unwrap().set_modified(time).unwrap();
        assert_eq!([connection.get("/").status, connection.get("/").status], [200, 200]);
        assert_eq!(process.expect_retiring(), (Reason::ScriptReload, false));
    }
    process.say(Kind::Stop, |_| {});
    assert!(process.wait().success(), "{}", process.log());
}

#[test]
fn a_process_that_drains_finishes_what_it_has() {
    let mut process = Process::start("drain", APP, |_| {});
    let mut connection = process.connect();
    connection.send(0, &[("PATH_INFO", "/slow")], Body::None);
    process.says("it is slow");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(process.pid()).unwrap(),
        rustix::process::Signal::USR1,
    )
    .unwrap();
    assert_eq!(process.expect_retiring(), (Reason::GracefulSignal, false));
    process.say(Kind::Drain, |out| Drain { reason: Reason::GracefulSignal, patient: false }.put(out));
    assert_eq!(connection.answer(&mut [].into_iter()).text(), "hello world");
    assert!(process.wait().success(), "{}", process.log());
}

#[test]
fn a_wrapped_file_travels_as_its_descriptor() {
    let process = Process::start("file", APP, |_| {});
    let body = process.connect().get("/file").body;
    assert_eq!(body, vec![b'F'; std::fs::read(process.script()).unwrap().len()]);
}

#[test]
fn standard_streams_of_a_request_are_its_log() {
    let process = Process::start("standard", APP, |_| {});
    let answer = process.connect().get("/standard");
    assert_eq!(answer.text(), "<stdout>");
    let records: Vec<_> = answer.records.iter().map(|(_, text)| text.rsplit(' ').next().unwrap()).collect();
    assert_eq!(records, ["out", "err"]);
}

#[test]
fn a_thread_keeps_its_locals_in_each_interpreter() {
    let process = Process::start("locals", APP, |settings| settings.threads = 1);
    let mut connection = process.connect();
    connection.announce(1, process.script().to_str().unwrap(), "one");
    for count in 1..=3 {
        for route in [0, 1] {
            connection.send(route, &[("PATH_INFO", "/local")], Body::None);
            assert_eq!(connection.answer(&mut [].into_iter()).text(), count.to_string(), "{route}");
        }
    }
}

#[test]
fn exit_functions_run_in_every_interpreter() {
    let mut process = Process::start("exit", APP, |_| {});
    let mut connection = process.connect();
    connection.announce(1, process.script().to_str().unwrap(), "one");
    for route in [0, 1] {
        connection.send(route, &[("PATH_INFO", "/")], Body::None);
        assert_eq!(connection.answer(&mut [].into_iter()).status, 200);
    }
    // Whoever visits the interpreters meanwhile does not keep them from ending.
    rustix::process::kill_process(rustix::process::Pid::from_raw(process.pid()).unwrap(), rustix::process::Signal::HUP)
        .unwrap();
    // Nothing tells that it does.
    std::thread::sleep(std::time::Duration::from_millis(100));
    process.stop();
    assert!(process.wait().success(), "{}", process.log());
    for group in ["", "one"] {
        assert!(process.log().contains(&format!("exit of '{group}'")), "{}", process.log());
    }
}

#[test]
fn the_main_thread_of_each_interpreter_is_that_of_the_process_and_alive() {
    let script = r#"
import threading
def application(environ, start_response):
    main = threading.main_thread()
    body = [main.is_alive(), threading.current_thread() is main, main.name]
    start_response("200 OK", [])
    return [repr(body).encode()]
"#;
    let mut process = Process::start("main-thread", script, |settings| settings.threads = 1);
    let mut connection = process.connect();
    for (id, group) in [(0, ""), (1, "a"), (2, "b")] {
        if id > 0 {
            connection.announce(id, process.script().to_str().unwrap(), group);
        }
        // The main interpreter's main thread is no worker either.
        for _ in 0..2 {
            connection.send(id, &[("PATH_INFO", "/")], Body::None);
            let answer = connection.answer(&mut [].into_iter());
            assert_eq!(answer.text(), "[True, False, 'MainThread']", "{group}: {}", process.log());
        }
    }
    process.stop();
    assert!(process.wait().success(), "{}", process.log());
}

#[test]
fn a_forked_child_that_comes_back_answers_nobody() {
    let script = r#"
import os
def application(environ, start_response):
    pid = os.fork()
    start_response("200 OK", [])
    print("of the", "parent" if pid else "child")
    return [b"parent" if pid and os.waitpid(pid, 0)[1] == 256 else b"child"]
"#;
    // In sub-interpreters CPython itself ends the child.
    let process = Process::start("fork", script, |_| {});
    let mut connection = process.connect();
    for _ in 0..3 {
        assert_eq!(connection.get("/").text(), "parent", "{}", process.log());
    }
    assert_eq!(process.log().matches("It ends here").count(), 3, "{}", process.log());
}

#[test]
fn a_line_that_a_forked_child_has_not_finished_is_logged_when_it_ends() {
    let script = r#"
import os
def application(environ, start_response):
    pid = os.fork()
    if pid == 0:
        print("not finished", end="")
        return []
    os.waitpid(pid, 0)
    start_response("200 OK", [])
    return [b"parent"]
"#;
    let process = Process::start("fork-line", script, |_| {});
    assert_eq!(process.connect().get("/").text(), "parent", "{}", process.log());
    assert_eq!(process.log().matches("not finished").count(), 1, "{}", process.log());
}
