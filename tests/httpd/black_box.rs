//! The one record about a daemon process that ends otherwise than it should.

use harness::{Httpd, Scratch, Site, cannot_run, eventually, kill, records, run};
use std::process::Command;
use std::time::Duration;

/// Each path is the name of a function that ends the process.
const ENDS: &str = r#"
import ctypes, os, signal, sys, threading, time

def crash():
    ctypes.string_at(0)

def leave():
    os._exit(7)

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def stuck():
    print("it is stuck", os.getpid(), flush=True)
    while True:
        time.sleep(0.05)

def hoarder():
    # PyDLL does not give up the GIL.
    ctypes.PyDLL(None).usleep(60_000_000)

def lingerer():
    threading.Event().wait()

def forks():
    if os.fork() == 0:
        ctypes.string_at(0)
    return os.wait()[1]

def overflow():
    import faulthandler
    faulthandler._stack_overflow()

def stays():
    threading.Thread(target=lingerer, daemon=False).start()

def spin():
    while True:
        pass

def eat():
    much = b"x" * 200_000_000
    time.sleep(2.5)
    return len(much)

def pid():
    return os.getpid()

def nothing():
    pass

def application(environ, start_response):
    text = str(globals()[environ["PATH_INFO"].rpartition("/")[2]]()).encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"#;

fn site(options: &str) -> Httpd {
    Httpd::site(options, ENDS).expect_log(&["it is stuck"]).start()
}

/// Makes the process end by a request; what the client got, 0 for nothing.
fn end(site: &Httpd, function: &str) -> u16 {
    site.try_request("GET", &format!("/some/{function}?password=secret"), &[], b"").map_or(0, |answer| answer.status)
}

/// The one record that has this text.
fn one_record(site: &Httpd, text: &str) -> String {
    let records = site.log.records_with(text);
    assert_eq!(records.len(), 1, "{records:#?}");
    records[0].clone()
}

fn check(record: &str, parts: &[&str]) {
    for part in parts {
        assert!(record.contains(part), "{part:?} is not in {record}");
    }
    assert!(!record.contains("secret"), "query strings do not belong into logs: {record}");
}

#[test]
fn a_crash_names_the_signal_the_request_and_the_stack() {
    let site = site("threads=2");
    site.log.expect(&["WSGI1026: "]);
    assert!(matches!(end(&site, "crash"), 500 | 502));
    let record = one_record(&site, "SIGSEGV");
    check(&record, &["daemon process ", "of group 'site'", "in configuration 1", "[wsgi:error]", "in crash"]);
    check(
        &record,
        &["GET /some/crash for 0.", " s in thread ", ", request id ", "Fatal Python error: Segmentation fault"],
    );
    assert!(!record.contains("no Python frame") && !record.contains("_daemon.py"), "{record}");
    site.finish();
}

#[test]
fn as_json_the_stacks_are_the_records_traceback() {
    let site = Httpd::site("", ENDS).conf("WSGILogFormat json").start();
    site.log.expect(&["WSGI1026: "]);
    end(&site, "crash");
    let log = site.log.wait_for("SIGSEGV");
    let line = log.lines().find(|line| line.contains("SIGSEGV")).unwrap_or_default();
    let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    assert!(text("message").contains("of group 'site' was ended by signal 11 (SIGSEGV)"), "{line}");
    assert!(text("traceback").contains("GET /some/crash") && text("traceback").contains("in crash\n"), "{line}");
    site.finish();
}

#[test]
fn a_process_that_uses_too_much_is_told_with_what_it_was_doing() {
    for (option, function) in [("cpu-time-limit=1", "spin"), ("rss-limit=100M", "eat")] {
        let site = site(&format!("{option} graceful-timeout=1 shutdown-timeout=1"));
        site.log.expect(&["WSGI1026: "]);
        end(&site, function);
        let record = one_record(&site, &format!("in {function}\\n"));
        let name = option.split('=').next().unwrap_or_default();
        check(&record, &[&format!("has exceeded {name}"), " and is replaced", &format!("GET /some/{function} for ")]);
        site.finish();
    }
}

#[test]
fn an_exit_in_a_request_names_the_code_and_the_request() {
    let site = site("");
    site.log.expect(&["WSGI1026: "]);
    end(&site, "leave");
    check(&one_record(&site, "exit code 7"), &["GET /some/leave for 0."]);
    site.finish();
}

#[test]
fn a_kill_names_the_requests_of_all_threads() {
    let site = site("threads=2 shutdown-timeout=1");
    site.log.expect(&["WSGI1026: "]);
    let port = site.port();
    let other = std::thread::spawn(move || harness::Client::connect(port).exchange("GET", "/stuck", &[], b"").is_ok());
    assert!(eventually(Duration::from_secs(5), || (site.get("/nothing").status == 200).then_some(())).is_some());
    site.log.wait_for("it is stuck");
    end(&site, "killed");
    other.join().expect("a thread");
    check(&one_record(&site, "SIGKILL"), &["GET /some/killed for 0.", "GET /stuck for 0."]);
    site.finish();
}

#[test]
fn a_request_that_exceeds_its_time_is_told_with_its_stack_once() {
    let site = site("request-timeout=1 shutdown-timeout=1");
    assert_eq!(end(&site, "stuck"), 504);
    let record = one_record(&site, "in stuck");
    assert!(site.log.wait_for("exit code 1").contains("[wsgi:info]"), "how it ended then is known");
    assert_eq!(one_record(&site, "in stuck"), record);
    check(&record, &["has exceeded request-timeout=1 and is replaced", "GET /some/stuck for 1."]);
    site.finish();
}

#[test]
fn an_interruption_is_one_record_with_the_stack() {
    let site = site("request-timeout=1 interrupt-timeout=5");
    assert_eq!(end(&site, "stuck"), 504);
    let record = one_record(&site, "Injected RequestTimeout into thread ");
    check(&record, &["wsgi:info", "of daemon process 'site'.", "GET /some/stuck for 1.", "in stuck"]);
    assert!(!site.log.text().contains("exceeded request-timeout"), "the process goes on");
    site.finish();
}

#[test]
fn whoever_keeps_the_gil_is_named() {
    let site = site("threads=2 deadlock-timeout=2 shutdown-timeout=1");
    end(&site, "hoarder");
    let record = one_record(&site, "in hoarder");
    check(&record, &["the GIL within deadlock-timeout=2 and is replaced", "GET /some/hoarder for "]);
    site.finish();
}

#[test]
fn a_shutdown_that_is_held_up_names_the_thread_in_each_kind_of_interpreter() {
    for group in ["%{GLOBAL}", "sub"] {
        let mut site = Httpd::builder()
            .app("site.wsgi", ENDS)
            .conf("WSGISingleInterpreter Off\nWSGIDaemonProcess site shutdown-timeout=1")
            .conf(&format!("WSGIScriptAlias / {{apps}}/site.wsgi process-group=site application-group={group}"))
            .start();
        assert_eq!(site.get("/stays").status, 200);
        let _ = site.stop();
        let record = one_record(&site, "in lingerer");
        check(&record, &["did not end within its shutdown-timeout and was ended by force"]);
        site.finish();
    }
}

fn every_end_of(site: &Httpd, version: &str) {
    for (function, sign) in [("crash", "SIGSEGV"), ("hoarder", "deadlock-timeout=1"), ("stuck", "ended by force")] {
        let path = format!("/{version}/{function}");
        let daemon: u32 = site.get(&format!("/{version}/pid")).text().parse().expect("a pid");
        let url = site.url(&path);
        let request = std::thread::spawn(move || harness::get(&url).status);
        if function == "stuck" {
            site.log.wait_for(&format!("it is stuck {daemon}"));
            assert!(kill(daemon, libc::SIGTERM));
        }
        assert!(request.join().expect("a thread") >= 500);
        let of_group = |record: &String| record.contains(&format!("group 'g{version}'")) && record.contains(sign);
        let find = || records(&site.log.text()).into_iter().find(of_group);
        let record = eventually(Duration::from_secs(10), find).unwrap_or_else(|| panic!("{}", site.log.text()));
        check(&record, &[&format!("in {function}\\n"), &format!("GET {path} for ")]);
    }
}

#[test]
fn every_python_tells_where_a_sub_interpreter_was() {
    let others = crate::pythons::other_pythons();
    if others.is_empty() {
        let why = "no other Python is on PATH; MOD_WSGI_TEST_PYTHONS may name some, separated by colons";
        return cannot_run("every_python_tells_where_a_sub_interpreter_was", why);
    }
    let mut builder = Httpd::builder().app("site.wsgi", ENDS).conf("WSGISingleInterpreter Off");
    let scratch = Scratch::new();
    for (version, python) in &others {
        let home = scratch.path().join(version);
        let made = run(Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&home), scratch.path());
        assert_eq!(made.code, Some(0), "{}: {}", python.display(), made.text);
        let options = format!("python-home={} threads=2 deadlock-timeout=1 shutdown-timeout=1", home.display());
        builder = builder.conf(&format!("WSGIDaemonProcess g{version} {options}"));
        let place = format!("process-group=g{version} application-group=sub");
        builder = builder.conf(&format!("WSGIScriptAlias /{version} {{apps}}/site.wsgi {place}"));
    }
    let site = builder.start();
    std::thread::scope(|scope| {
        for version in others.keys() {
            scope.spawn(|| every_end_of(&site, version));
        }
    });
    site.finish();
}

#[test]
fn a_request_that_holds_up_a_shutdown_is_named() {
    let site = site("threads=2 shutdown-timeout=1");
    site.log.expect(&["WSGI1026: "]);
    let daemon = site.get("/pid").text().parse().expect("a pid");
    let port = site.port();
    let stuck = std::thread::spawn(move || harness::Client::connect(port).exchange("GET", "/stuck", &[], b"").is_ok());
    site.log.wait_for("it is stuck");
    assert!(kill(daemon, libc::SIGTERM));
    let record = one_record(&site, "in stuck");
    check(&record, &["ended by force", "GET /stuck for "]);
    stuck.join().expect("a thread");
    site.finish();
}

#[test]
fn a_script_that_never_loads_is_named() {
    let script = "import time\ndef dawdle():\n    time.sleep(60)\ndawdle()\n";
    let site = Httpd::site("startup-timeout=1 shutdown-timeout=1", script).start();
    let record = one_record(&site, "in dawdle");
    check(&record, &["startup-timeout=1: it did not end", "loading the script '", "site.wsgi' for "]);
    site.finish();
}

#[test]
fn a_crash_of_a_forked_child_is_its_own_affair() {
    let site = site("");
    site.log.expect(&["WSGI1026: ", "[daemon "]);
    assert_eq!(site.get("/forks").text(), "11");
    let crash = site.log.wait_for("Fatal Python error");
    assert!(!crash.contains("daemon process 1 of group"), "{crash}");
    end(&site, "leave");
    let record = one_record(&site, "exit code 7");
    assert!(!record.contains("Fatal Python error") && record.contains("/some/leave"), "{record}");
    site.finish();
}

#[test]
fn a_stack_that_is_used_up_leaves_a_record() {
    let site = site("");
    site.log.expect(&["WSGI1026: "]);
    end(&site, "overflow");
    check(&one_record(&site, "SIGSEGV"), &["in overflow", "GET /some/overflow"]);
    site.finish();
}

#[test]
fn an_end_in_order_leaves_no_record() {
    let mut site = site("processes=2 maximum-requests=5");
    for _ in 0..12 {
        assert_eq!(site.get("/nothing").status, 200);
    }
    let _ = site.stop();
    let bad: Vec<_> = records(&site.log.text()).into_iter().filter(|record| record.contains("wsgi:error")).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    site.finish();
}
