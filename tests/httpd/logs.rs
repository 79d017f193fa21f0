//! `WSGILogFormat json`: records for machines.

use harness::{Httpd, Log, MODES, Mpm, Site, eventually, kill};
use serde_json::Value;
use std::time::Duration;

/// Logs what would break lines and JSON, in every way there is, from several threads.
const HOSTILE: &str = r#"
import logging, os, sys, threading
import mod_wsgi

NASTY = [
    "two\nlines\r\nand a forged one\n[Mon Jan 01 00:00:00.000000 2024] [wsgi:error] [pid 1] forged",
    "quote\" backslash\\ brace} \\u0000 \\",
    "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\x1b[31m",
    "caf\u00e9 \U0001f600 \ud800 lone",
    '{"level": "info", "message": "forged"}',
    "x" * 150_000,
    "",
]
log = logging.getLogger("shop")
log.addHandler(mod_wsgi.LogHandler())
log.propagate = False

def say(errors):
    for text in NASTY:
        for stream in (errors, sys.stdout, sys.stderr):
            if stream is not None:
                stream.write(text)
                stream.flush()
                print(text, file=stream)
        log.error(text)
        log.error("%s", text, exc_info=ValueError(text), stack_info=True)
    for raw in (b"\xff\xfe\xc3(", b"\0\n\0", bytes(range(256))):
        sys.stderr.buffer.write(raw)
        if errors is not None:
            errors.buffer.write(raw)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
    thread = threading.Thread(target=say, args=(None,))
    thread.start()
    say(environ["wsgi.errors"])
    thread.join()
    sys.stdout.write("no line end \ud800")
    raise ValueError("\n".join(NASTY))
"#;

/// All records, each of which must be one line of JSON, whatever Apache's own records are.
fn json_records(log: &Log) -> Vec<Value> {
    let (text, mut found) = (log.text(), Vec::new());
    for line in text.split_terminator('\n').filter(|line| !line.starts_with('[') || line.contains("[wsgi:")) {
        assert!(line.len() < 128 << 10 && !line.chars().any(char::is_control), "{} bytes: {line:.300}", line.len());
        found.push(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:.300}")));
    }
    found
}

fn find<'v>(records: &'v [Value], message: &str) -> &'v Value {
    let fits = |record: &&Value| record["message"].as_str().is_some_and(|text| text.contains(message));
    records.iter().find(fits).unwrap_or_else(|| panic!("{message:?} is not in {records:#?}"))
}

#[test]
fn whatever_an_application_logs_each_record_is_a_line_of_json() {
    for group in ["process-group=site", ""] {
        let site = Httpd::builder()
            .app("site.wsgi", HOSTILE)
            .conf("WSGILogFormat json\nWSGIDaemonProcess site processes=2 threads=4")
            .conf(&format!("WSGIScriptAlias / {{apps}}/site.wsgi {group}"))
            .expect_log(&["WSGI0174: ", "... continued"])
            .start();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(site.get("/nasty").status, 500));
            }
        });
        let records = json_records(&site.log);
        assert!(records.len() > 4 * 60, "{}", records.len());
        assert!(records.iter().all(|record| record["truncated"].is_null()), "nothing is cut");
        let continues =
            |record: &Value| record["message"].as_str().is_some_and(|text| text.starts_with("... continued 2/"));
        assert!(records.iter().any(continues), "what is too long is continued");
        let text = site.log.text();
        assert!(!text.contains("\n[Mon Jan 01") && !text.contains("\n{\"level\""), "nothing is forged");
        site.finish();
    }
}

#[test]
fn a_record_tells_where_it_comes_from() {
    let site = Httpd::builder()
        .app(
            "site.wsgi",
            r#"
import logging, os, sys, threading, mod_wsgi
log = logging.getLogger("shop.cart")
log.addHandler(mod_wsgi.LogHandler())
log.setLevel(logging.DEBUG)
print("while loading")
def application(environ, start_response):
    sys.stdout.write("half and "); print("half", file=sys.stderr)
    print("by errors", file=environ["wsgi.errors"])
    log.warning("first\nsecond")
    log.debug("too much detail")
    try:
        helper()
    except ZeroDivisionError:
        log.exception("cannot divide")
        logging.getLogger("plain").exception("the default handler")
    thread = threading.Thread(target=lambda: print("from a thread"))
    thread.start(); thread.join()
    start_response("200 OK", [("X-Id", environ["mod_wsgi.request_id"])])
    return [f"{os.getpid()} {threading.get_native_id()}".encode()]
def helper():
    return 1 / 0
"#,
        )
        .conf("WSGILogFormat json\nWSGIDaemonProcess site threads=2")
        .conf("WSGIScriptAlias /shop {apps}/site.wsgi process-group=site application-group=cart")
        .start();
    let answer = site.client().exchange("GET", "/shop/a%20b?secret=1", &[], b"").expect("an answer");
    let (pid, thread) = answer.text().split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two numbers");
    // It goes another way than those of the request.
    site.log.wait_for("from a thread");
    let records = json_records(&site.log);
    for (message, stream) in [
        ("half and half", "stderr"),
        ("by errors", "wsgi.errors"),
        ("first\nsecond", "logging"),
        ("from a thread", "stdout"),
        ("while loading", "stdout"),
    ] {
        assert_eq!(find(&records, message)["stream"], stream, "{message}");
    }
    let logged = find(&records, "cannot divide");
    let traceback = logged["traceback"].as_str().expect("a traceback");
    assert!(traceback.starts_with("Traceback (most recent call last):\n  File ") && traceback.contains("in helper\n"));
    assert!(traceback.ends_with("ZeroDivisionError: division by zero"), "{traceback}");
    for (field, wanted) in [
        ("message", "cannot divide"),
        ("level", "error"),
        ("logger", "shop.cart"),
        ("method", "GET"),
        ("path", "/shop/a b"),
        ("client", "127.0.0.1"),
        ("vhost", "localhost"),
        ("process_group", "site"),
        ("application_group", "cart"),
        ("request_id", answer.all("X-Id")[0]),
    ] {
        assert_eq!(logged[field], wanted, "{field} of {logged}");
    }
    assert_eq!((logged["pid"].to_string(), logged["thread"].to_string()), (pid, thread));
    assert_eq!(logged["line"], 15);
    assert!(logged["file"].as_str().is_some_and(|file| file.ends_with("/apps/site.wsgi")), "{logged}");
    assert!(logged["script"].as_str().is_some_and(|file| file.ends_with("/apps/site.wsgi")), "{logged}");
    let time = logged["time"].as_str().expect("a time");
    assert!(time.len() == 32 && time[19..20] == *"." && ["+", "-"].contains(&&time[26..27]), "{time}");
    let plain = find(&records, "the default handler");
    assert!(plain["traceback"].as_str().is_some_and(|text| text.ends_with("division by zero")), "{plain}");
    let outside = find(&records, "from a thread");
    assert_eq!((&outside["application_group"], outside.get("request_id")), (&Value::from("cart"), None));
    assert!(!site.log.text().contains("too much detail") && !site.log.text().contains("secret"));
    site.finish();
}

#[test]
fn the_end_of_a_process_and_what_apache_says_are_json_in_the_log_of_their_virtual_host() {
    let site = Httpd::builder()
        .app("site.wsgi", HOSTILE)
        .conf(
            "<VirtualHost *:{port}>\nServerName shop.test\nErrorLog {root}/logs/shop.log\nWSGILogFormat json\n\
             WSGIDaemonProcess shop threads=1\n\
             WSGIScriptAlias /missing {apps}/nothing.wsgi process-group=shop\n\
             WSGIScriptAlias / {apps}/site.wsgi process-group=shop application-group=%{GLOBAL}\n</VirtualHost>",
        )
        .start();
    let pid: u32 = site.get("/pid").text().parse().expect("a pid");
    assert_eq!(site.get("/missing/x").status, 404);
    assert!(kill(pid, libc::SIGKILL));
    let log = Log::new(site.root().join("logs/shop.log"));
    log.wait_for("WSGI1307: …SIGKILL");
    let next =
        eventually(Duration::from_secs(10), || site.get("/pid").text().parse().ok().filter(|next: &u32| *next != pid));
    assert!(next.is_some(), "another process takes its place");
    let records = json_records(&log);
    let ended = find(&records, "SIGKILL");
    assert_eq!((&ended["process_group"], &ended["vhost"]), (&Value::from("shop"), &Value::from("shop.test")));
    assert_eq!((&ended["level"], &ended["stream"]), (&Value::from("error"), &Value::from("mod_wsgi")));
    assert!(find(&records, "is ready")["pid"].is_u64());
    let missing = records.iter().find(|record| record["path"] == "/missing/x").expect("a record of the request");
    assert!(missing["script"].as_str().is_some_and(|script| script.ends_with("nothing.wsgi")), "{missing}");
    assert!(!site.log.text().contains("SIGKILL"), "the main server's log is another one");
    site.finish();
}

#[test]
fn piped_logs_get_json_too() {
    let site = Httpd::site("threads=2", HOSTILE)
        .conf("WSGILogFormat JSON\nErrorLog \"|$/bin/cat >> {root}/logs/piped.log\"")
        .start();
    assert_eq!(site.get("/nasty").status, 500);
    let log = Log::new(site.root().join("logs/piped.log"));
    log.wait_for("no line end");
    assert!(json_records(&log).len() > 60);
    site.finish();
}

#[test]
fn a_format_of_half_an_item_costs_the_form_of_a_line_and_nothing_else() {
    for format in ["%{begin}J%M", "%M%{end}J", "%{end}J%M%{begin}J", "%M %J", "%{begin}J%{begin}J%M%{end}J%{end}J"] {
        let other = "<VirtualHost *:{port}>\nServerName other.test\nErrorLog {root}/logs/other.log\nErrorLogFormat \"%M%{end}J\"\n</VirtualHost>";
        let site =
            Httpd::site("threads=2", harness::HELLO).conf(&format!("ErrorLogFormat \"{format}\"\n{other}")).start();
        site.log.wait_for("resuming normal operations");
        assert_eq!(site.get("/").text(), "hello", "{format}");
        site.finish();
    }
}

#[test]
fn a_line_of_apaches_is_no_longer_than_apache_lets_it_be() {
    let site = Httpd::builder().conf("ErrorLogFormat \"%{begin}J%M%{end}J\"\nLimitRequestLine 16000").start();
    for path in ["%FF".repeat(2500), "a".repeat(7500), "%22".repeat(2700), "/%C3%A4".repeat(1000)] {
        let _ = site.try_request("GET", &format!("/{path}"), &[], b"");
    }
    let log = || (site.log.text().matches("\"request_id\"").count() >= 4).then_some(());
    assert!(eventually(Duration::from_secs(10), log).is_some(), "{}", site.log.text());
    for line in site.log.text().lines() {
        assert!(line.len() < 8192, "{}", line.len());
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(record["stream"], "apache");
    }
    site.finish();
}

#[test]
fn the_format_is_text_or_json() {
    let (accepted, text) = Httpd::builder().conf("WSGILogFormat xml").check();
    assert!(!accepted && text.contains("text or json"), "{text}");
    let (accepted, text) = Httpd::builder().conf("<Location />\nWSGILogFormat json\n</Location>").check();
    assert!(!accepted, "{text}");
}

#[test]
fn daemons_run_where_errors_go_to_syslog() {
    let site = Httpd::site("threads=2", harness::HELLO).conf("WSGILogFormat json\nErrorLog syslog").start();
    assert_eq!(site.get("/").text(), "hello");
    site.finish();
}

/// Says something at load, in a request and from a thread, as it is told to.
const TALK: &str = r#"
import os, sys, threading, time
print("said at load")
def later():
    time.sleep(0.1)
    print("said by a thread")
def deep(levels):
    try:
        raise ValueError("level %d: " % levels + "na\u00efve " * 60)
    except ValueError as error:
        if levels:
            deep(levels - 1)
        raise RuntimeError("around %d" % levels) from error
class Ends:
    def __iter__(self):
        for _ in range(400):
            yield b"x" * 65536
    def close(self):
        print("said by close()", file=self.errors)
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/deep":
        deep(20)
    start_response("200 OK", [])
    if path == "/long":
        ends = Ends()
        ends.errors = environ["wsgi.errors"]
        return ends
    print("said in a request")
    threading.Thread(target=later).start()
    return [str(os.getpid()).encode()]
"#;

const SAID: [&str; 3] = ["said at load", "said in a request", "said by a thread"];

#[test]
fn error_log_format_holds_for_all_records_and_each_is_in_its_virtual_hosts_log() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let site = Httpd::builder()
            .app("app.wsgi", TALK)
            .mpm(mpm)
            .conf("ErrorLogFormat \"<%l|%M>\"")
            .conf(
                "<VirtualHost *:{port}>\nServerName shop.test\nErrorLog {root}/logs/shop.log\nWSGIDaemonProcess shop threads=2\n\
                 WSGIScriptAlias / {apps}/app.wsgi process-group=shop application-group=%{GLOBAL}\n</VirtualHost>",
            )
            .start();
        assert_eq!(site.get("/").status, 200);
        let log = Log::new(site.root().join("logs/shop.log"));
        SAID.iter().for_each(|said| drop(log.wait_for(said)));
        let text = log.wait_for("is ready");
        let formatted = |line: &str| line.starts_with('<') && line.ends_with('>') && line.contains('|');
        assert!(text.lines().all(formatted), "{mpm:?}: {text}");
        assert!(!site.log.text().contains("said"), "{mpm:?}: the main server's log is another one");
        site.finish();
    }
}

#[test]
fn a_piped_log_gets_what_is_said_outside_of_requests_and_why_a_group_does_not_start() {
    let mut site = Httpd::builder()
        .app("app.wsgi", TALK)
        .conf("ErrorLog \"|$/bin/cat >> {root}/logs/piped.log\"\nWSGIDaemonProcess shop threads=2")
        .conf("WSGIDaemonProcess broken python-home={root}/nowhere")
        .conf("WSGIScriptAlias / {apps}/app.wsgi process-group=shop application-group=%{GLOBAL}")
        .start();
    assert_eq!(site.get("/").status, 200);
    let log = Log::new(site.root().join("logs/piped.log"));
    SAID.iter().chain(&["/nowhere' has no Python"]).for_each(|said| drop(log.wait_for(said)));
    assert!(site.stop().is_some_and(|status| status.success()));
    log.wait_for("ended with exit code 0");
    site.finish();
}

#[test]
fn the_program_that_a_log_is_piped_to_lives_until_all_processes_have_ended() {
    for (begin, end) in [("", ""), ("<VirtualHost *:{port}>\n", "\n</VirtualHost>")] {
        let mut site = Httpd::builder()
            .app("app.wsgi", &format!("import atexit\natexit.register(print, 'said at the end')\n{TALK}"))
            .conf(&format!(
                "{begin}ErrorLog \"||/usr/bin/tee -a {{root}}/logs/piped.log\"\nWSGIDaemonProcess shop threads=2\n\
                 WSGIScriptAlias / {{apps}}/app.wsgi process-group=shop application-group=%{{GLOBAL}}{end}"
            ))
            .start();
        assert_eq!(site.get("/").status, 200);
        assert!(site.stop().is_some_and(|status| status.success()));
        let log = Log::new(site.root().join("logs/piped.log"));
        log.wait_for("said at the end");
        log.wait_for("ended with exit code 0");
        site.finish();
    }
}

#[test]
fn nothing_is_lost_when_apache_stops_at_once() {
    for mpm in [Mpm::Event, Mpm::Prefork] {
        let mut site = Httpd::site("processes=3 threads=2", TALK)
            .mpm(mpm)
            .conf("WSGIDaemonProcess broken python-home={root}/nowhere")
            .start();
        site.log.expect(&["said "]);
        // Parent, child, supervisor and daemons: what cannot be started has been tried by then.
        let begun = || (site.processes().len() >= 6).then_some(());
        assert!(eventually(Duration::from_secs(20), begun).is_some(), "{mpm:?}");
        assert!(site.stop().is_some_and(|status| status.success()));
        site.log.wait_for("/nowhere' has no Python");
        let over = || site.processes().is_empty().then(|| site.log.text());
        let log = eventually(Duration::from_secs(10), over).expect("everything ends");
        assert_eq!(log.matches("has started").count(), log.matches("of group 'site' ended").count(), "{mpm:?}: {log}");
        site.finish();
    }
}

#[test]
fn after_a_rotation_records_go_to_the_new_log_although_an_old_child_lives() {
    let mut site = Httpd::site("threads=2", TALK).start();
    site.log.expect(&["said by close()"]);
    let before = site.get("/").text();
    site.log.wait_for("said by a thread");
    // An old child lives as long as one of its clients is served.
    let mut slow = site.client();
    slow.send(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is sent");
    let (log, rotated) = (site.root().join("logs/error.log"), site.root().join("logs/error.log.1"));
    std::fs::rename(&log, &rotated).expect("it is rotated");
    site.signal(libc::SIGUSR1);
    let next = || Some(site.get("/").text()).filter(|pid| *pid != before);
    assert!(eventually(Duration::from_secs(20), next).is_some());
    SAID.iter().for_each(|said| drop(site.log.wait_for(said)));
    assert_eq!(Log::new(rotated).text().matches("said at load").count(), 1);
    drop(slow);
    site.finish();
}

#[test]
fn a_long_traceback_is_continued_and_nothing_of_it_is_missing() {
    let site = Httpd::both_modes("threads=2", TALK).start();
    for mode in MODES {
        assert_eq!(site.get(&format!("{mode}/deep")).status, 500);
        let text = site.log.wait_for("RuntimeError: around 0");
        let of_it = |line: &&str| line.contains("level ") || line.contains("around ");
        let records: Vec<&str> = text.lines().filter(of_it).collect();
        for level in 0..=20 {
            let said = format!("ValueError: level {level}: ");
            assert!(records.iter().any(|record| record.contains(&said)), "{mode}: {said} is not in {records:#?}");
        }
        let mut pieces = records.iter().filter_map(|record| record.split_once("... continued ")?.1.split_once(": "));
        let (first, _) = pieces.next().expect("it does not fit into one");
        let count: usize = first.strip_prefix("2/").expect("the second of several").parse().expect("a number");
        assert_eq!(pieces.count() + 2, count, "{mode}");
        assert!(!text.contains("\\xc3 ") && !text.contains("] \\xaf"), "no character is cut");
        std::fs::write(site.root().join("logs/error.log"), "").expect("it can be emptied");
    }
    site.finish();
}

#[test]
fn what_is_said_after_the_client_has_gone_is_in_the_log_with_the_request() {
    let site = Httpd::both_modes("threads=2", TALK).start();
    site.log.expect(&["said "]);
    for (mode, count) in MODES.iter().zip(1..) {
        let mut client = site.client();
        client.send(format!("GET {mode}/long HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).expect("it is sent");
        assert!(client.answers().expect("it answers"));
        drop(client);
        let said = || Some(site.log.records_with("said by close()")).filter(|records| records.len() == count);
        let records = eventually(Duration::from_secs(10), said).expect("it is in the log, once");
        let named = |record: &String| record.contains(&format!("{mode}/long] ")) || record.contains("[client ");
        assert!(records.iter().any(named), "{records:?}");
    }
    site.finish();
}
