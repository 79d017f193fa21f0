//! Sub-interpreters with locks of their own (`WSGIPerInterpreterGIL`), on every CPython from 3.12 on that is there.

use std::time::{Duration, Instant};

use crate::harness::{Answer, Connection, Process, Python};
use wsgi_wire::request::Body;
use wsgi_wire::settings::{Daemon, Interpreter};

const APP: &str = r#"
import atexit, gc, io, json, os, sys, threading, time
import mod_wsgi
atexit.register(lambda: os.write(2, ("exit of %s\n" % mod_wsgi.application_group).encode()))
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/busy":
        sys.setswitchinterval(1000)
        os.write(2, b"it is busy\n")
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pass
    if path == "/thread":
        threading.Thread(target=time.sleep, args=(0.2,)).start()
    if path == "/import":
        __import__(environ["module"])
    if path == "/stuck":
        while True:
            pass
    if path == "/mixed":
        print("one line", file=environ["wsgi.errors"])
        print("another")
        environ["kept"] = [environ, start_response]
        try:
            json.loads("{")
        except ValueError as error:
            environ["error"] = error
        if len(mod_wsgi.request_data()) == 0:
            mod_wsgi.request_data()["n"] = threading.get_ident()
        gc.collect()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [mod_wsgi.application_group.encode()]
"#;

/// Settings under which every sub-interpreter has its own lock.
fn own_gils(settings: &mut Daemon) {
    settings.threads = 8;
    settings.interpreters.push(Interpreter {
        application_group: None,
        python_path: vec![],
        restrict_stdin: None,
        restrict_stdout: None,
        restrict_signal: None,
        switch_interval: None,
        own_gil: Some(true),
    });
}

/// A connection with the routes 1 to 4 to as many interpreters.
fn connect(process: &Process) -> Connection {
    let mut connection = process.connect();
    for (id, group) in (1..).zip(["one", "two", "three", "four"]) {
        connection.announce(id, process.script().to_str().unwrap(), group);
    }
    connection
}

fn get(connection: &mut Connection, route: u16, vars: &[(&str, &str)]) -> Answer {
    connection.send(route, vars, Body::None);
    connection.answer(&mut [].into_iter())
}

fn each(test: impl Fn(&Python)) {
    let pythons = Python::from((3, 12));
    if pythons.is_empty() {
        eprintln!("SKIP: no Python 3.12 or later; MOD_WSGI_TEST_PYTHONS may name some, separated by colons");
    }
    pythons.iter().for_each(test);
}

#[test]
fn a_busy_interpreter_does_not_hold_up_another() {
    each(|python| {
        let process = python.start("own-busy", APP, own_gils);
        let (mut busy, mut behind, mut other) = (connect(&process), connect(&process), connect(&process));
        assert_eq!(get(&mut busy, 1, &[("PATH_INFO", "/")]).text(), "one");
        assert_eq!(get(&mut behind, 1, &[("PATH_INFO", "/")]).text(), "one");
        assert_eq!(get(&mut other, 2, &[("PATH_INFO", "/")]).text(), "two");
        busy.send(1, &[("PATH_INFO", "/busy")], Body::None);
        process.says("it is busy");
        // Nor does one that waits for it.
        behind.send(1, &[("PATH_INFO", "/")], Body::None);
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(get(&mut other, 2, &[("PATH_INFO", "/")]).text(), "two");
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{python}: {:?}", start.elapsed());
        assert_eq!(busy.answer(&mut [].into_iter()).text(), "one");
        assert_eq!(behind.answer(&mut [].into_iter()).text(), "one");
    });
}

#[test]
fn exit_functions_run_in_all_of_them_when_the_process_ends() {
    each(|python| {
        let mut process = python.start("own-exit", APP, own_gils);
        let mut connection = connect(&process);
        for route in 1..=4 {
            assert_eq!(get(&mut connection, route, &[("PATH_INFO", "/thread")]).status, 200);
        }
        process.stop();
        assert!(process.wait().success(), "{python}: {}", process.log());
        for group in ["one", "two", "three", "four"] {
            assert!(process.log().contains(&format!("exit of {group}\n")), "{python}: {}", process.log());
        }
    });
}

#[test]
fn many_requests_over_several_of_them_are_answered_in_the_right_one() {
    let count = std::env::var("MOD_WSGI_TEST_REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    each(|python| {
        let mut process = python.start("own-many", APP, own_gils);
        std::thread::scope(|scope| {
            for offset in 0..8 {
                let mut connection = connect(&process);
                scope.spawn(move || {
                    for i in 0..count {
                        let (route, group) =
                            [(0, ""), (1, "one"), (2, "two"), (3, "three"), (4, "four")][(i + offset) % 5];
                        assert_eq!(get(&mut connection, route, &[("PATH_INFO", "/mixed")]).text(), group);
                    }
                });
            }
        });
        process.stop();
        assert!(process.wait().success(), "{python}: {}", process.log());
    });
}

#[test]
fn an_extension_module_that_is_not_made_for_them_fails_with_a_cure() {
    each(|python| {
        let process = python.start("own-import", APP, own_gils);
        let mut connection = connect(&process);
        let vars = [("PATH_INFO", "/import"), ("module", "_curses")];
        let answer = get(&mut connection, 1, &vars);
        assert_eq!(answer.failed, Some(500), "{python}");
        let texts: Vec<_> = answer.records.iter().map(|(_, text)| text.as_str()).collect();
        assert!(texts.len() == 2 && texts[0].contains("ImportError: module _curses does not support"), "{texts:?}");
        assert!(
            texts[1].contains("WSGIPerInterpreterGIL") && texts[1].contains("application-group=%{GLOBAL}"),
            "{texts:?}"
        );
        assert_eq!(get(&mut connection, 1, &vars).records.len(), 1);
        assert_eq!(get(&mut connection, 0, &vars).status, 200);
    });
}

#[test]
fn the_deadlock_timeout_covers_each_of_them() {
    each(|python| {
        let mut process = python.start("own-stuck", APP, |settings| {
            own_gils(settings);
            settings.deadlock_timeout = 1;
            settings.shutdown_timeout = 1;
            settings.switch_interval = 1000.0;
        });
        let mut connection = connect(&process);
        connection.send(3, &[("PATH_INFO", "/stuck")], Body::None);
        assert_eq!(process.wait().code(), Some(1));
        assert!(process.log().contains("sub-interpreter 'three', where extension modules"), "{}", process.log());
    });
}

#[test]
fn a_request_of_one_is_interrupted_while_others_run() {
    each(|python| {
        let process = python.start("own-interrupt", APP, |settings| {
            own_gils(settings);
            settings.request_timeout = 1;
            settings.interrupt_timeout = 20;
        });
        let (mut busy, mut stuck) = (connect(&process), connect(&process));
        stuck.send(2, &[("PATH_INFO", "/stuck")], Body::None);
        let answered = std::thread::scope(|scope| {
            let answer = scope.spawn(|| stuck.answer(&mut [].into_iter()));
            while !answer.is_finished() {
                assert_eq!(get(&mut busy, 1, &[("PATH_INFO", "/mixed")]).text(), "one");
            }
            answer.join().unwrap()
        });
        assert_eq!(answered.failed, Some(504), "{python}: {}", process.log());
        assert!(process.log().contains("app.wsgi\", line"), "{python}: {}", process.log());
    });
}
