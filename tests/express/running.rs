//! `start-server` while it runs: who, where, signals, logs.

use harness::{
    Express, HELLO, ORDINARY_USER, PROBE, Scratch, Site, alive, as_user, cannot_run, eventually, is_root, kill,
};
use std::time::Duration;

fn directory() -> Scratch {
    let directory = Scratch::new();
    directory.write("probe.wsgi", PROBE);
    directory
}

fn start(directory: &Scratch, words: &[&str]) -> harness::Foreground {
    let words: Vec<_> = ["start-server", "probe.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).start()
}

#[test]
fn the_start_says_where_the_server_is() {
    let directory = directory();
    let server = start(&directory, &[]);
    let console = server.console.wait_for(&format!("http://127.0.0.1:{}/", server.port()));
    assert!(console.contains(&server.server_root().display().to_string()), "{console}");
}

#[test]
fn it_stops_cleanly_on_an_interrupt_and_when_terminated() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let directory = directory();
        let mut server = start(&directory, &["--processes", "2"]);
        let daemon = server.ask("os.getpid()").as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid");
        let status = server.stop(signal).expect("it stops");
        assert!(status.success(), "signal {signal}: {status}");
        assert!(!alive(daemon), "signal {signal}");
    }
}

#[test]
fn restart_replaces_the_processes_of_a_running_server_and_tells_if_it_cannot() {
    let directory = directory();
    let server = start(&directory, &["--processes", "2"]);
    server.console.expect(&["WSGI0109: ", "WSGI1308: "]);
    let first = server.ask("os.getpid()").as_u64().expect("a pid");
    let root = server.server_root().display().to_string();
    let restart = || Express::new(&["restart", "--server-root", &root]).within(directory.path()).run();
    let done = restart();
    assert!(done.code == Some(0) && done.text.contains("all processes are new"), "{done:?}");
    assert_ne!(server.ask("os.getpid()").as_u64(), Some(first));
    let second = server.ask("os.getpid()");
    directory.write("probe.wsgi", "raise RuntimeError('broken')");
    let done = restart();
    assert!(done.code == Some(1) && done.text.contains("cannot be loaded"), "{done:?}");
    directory.write("probe.wsgi", PROBE);
    assert_eq!(server.ask("os.getpid() >= 0"), true, "{second} or a newer one");
}

#[test]
fn the_command_becomes_the_apache_parent() {
    let directory = directory();
    let server = start(&directory, &[]);
    assert_eq!(server.ask("1"), 1, "by then its pid file is written");
    let pid = std::fs::read_to_string(server.server_root().join("httpd.pid")).expect("a pid file");
    assert_eq!(pid.trim(), server.pid().to_string());
}

#[test]
fn started_by_root_the_application_runs_as_the_user() {
    if !is_root() {
        return cannot_run("started_by_root_the_application_runs_as_the_user", "only root can switch users");
    }
    let directory = directory();
    assert_eq!(start(&directory, &[]).ask("__import__('pwd').getpwuid(os.getuid()).pw_name"), ORDINARY_USER);
}

#[test]
fn an_ordinary_user_needs_no_option_at_all() {
    let directory = directory();
    let server = Express::new(&["start-server", "probe.wsgi"])
        .within(directory.path())
        .as_ordinary_user()
        .with_address()
        .start_as_it_is();
    let me = as_user(Some(ORDINARY_USER), "id").arg("-u").output().expect("id runs");
    let uid: u32 = String::from_utf8_lossy(&me.stdout).trim().parse().expect("a number");
    assert_eq!(server.ask("os.getuid()"), uid);
}

#[test]
fn the_application_is_loaded_before_the_first_request() {
    let directory = directory();
    directory.write("loud.wsgi", format!("print('loaded', flush=True)\n{HELLO}"));
    let server = Express::new(&["start-server", "loud.wsgi"]).within(directory.path()).start();
    server.console.wait_for("loaded");
}

#[test]
fn the_access_log_and_the_log_level_are_as_asked_for() {
    let directory = directory();
    let server = start(&directory, &["--access-log", "--log-level", "info"]);
    assert_eq!(server.ask("1"), 1);
    server.console.wait_for("\"GET /?1 HTTP/1.1\" 200");
}

#[test]
fn records_are_json_where_that_is_asked_for() {
    let directory = directory();
    directory.write("loud.wsgi", format!("print('loaded \\t', flush=True)\n{HELLO}"));
    let server = Express::new(&["start-server", "loud.wsgi", "--log-format", "json"]).within(directory.path()).start();
    server.console.wait_for(r#""message":"loaded \t","stream":"stdout""#);
}

#[test]
fn each_line_on_the_terminal_is_a_json_object_whoever_writes_it() {
    let directory = directory();
    directory.directory("static");
    let words = ["--log-format", "json", "--log-level", "info", "--url-alias", "/static", "static"];
    let mut server = start(&directory, &[&words[..], &["--url-alias", "/later", "later"]].concat());
    server.console.expect(&["the target of --url-alias /later"]);
    assert_eq!(server.get("/static/%22q%22%0A%5C%5Cn%FF%C3%A4%1B%7D").status, 404);
    assert_eq!(server.ask("print('caf\\u00e9 \"')"), serde_json::Value::Null);
    server.console.wait_for("AH00128");
    kill(server.pid(), libc::SIGUSR1);
    let again = || (server.console.text().matches("resuming normal operations").count() == 2).then_some(());
    assert!(eventually(Duration::from_secs(20), again).is_some());
    assert_eq!(server.ask("1"), 1);
    assert!(server.stop(libc::SIGTERM).is_some());
    let text = server.console.text();
    let record = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let records: Vec<serde_json::Value> = text.lines().map(record).collect();
    let find = |part: &str| {
        let found = records.iter().find(|record| record["message"].as_str().is_some_and(|text| text.contains(part)));
        found.unwrap_or_else(|| panic!("{part}: {text}"))
    };
    let missing = find("AH00128");
    let path = "/static/\"q\"\n\\\\n\u{fffd}ä\u{1b}}";
    assert!(missing["message"].as_str().is_some_and(|text| text.ends_with(path)), "{missing}");
    assert_eq!((&missing["path"], &missing["client"]), (&path.into(), &"127.0.0.1".into()));
    assert_eq!(
        (&missing["stream"], &missing["logger"], &missing["level"]),
        (&"apache".into(), &"core".into(), &"info".into())
    );
    assert_eq!(find("caf")["stream"], "stdout");
    assert_eq!(find("Server URL")["stream"], "mod_wsgi-express");
    assert_eq!(find("the target of --url-alias /later")["level"], "warn");
    assert_eq!(find("caught SIGTERM")["logger"], "mpm_event");
}

#[test]
fn a_broken_script_is_a_500_whose_traceback_names_the_script_itself() {
    let directory = directory();
    let script = directory.write("broken.wsgi", "import os\n1 / 0\n");
    let server = Express::new(&["start-server", "broken.wsgi"]).within(directory.path()).start();
    assert_eq!(server.get("/").status, 500);
    let console = server.console.wait_for("ZeroDivisionError");
    assert!(console.contains(&format!("\"{}\", line 2", script.display())), "{console}");
    directory.write("broken.wsgi", HELLO);
    let repaired = eventually(Duration::from_secs(10), || (server.get("/").text() == "hello").then_some(()));
    assert!(repaired.is_some(), "a repaired script is used");
}

#[test]
fn a_changed_module_is_reloaded_where_that_is_asked_for() {
    let directory = directory();
    directory.write("colour.py", "name = 'blue'\n");
    directory.write("probe.wsgi", format!("import colour\n{PROBE}"));
    let server = start(&directory, &["--reload-on-changes", "--python-path", "."]);
    server.console.expect(&["monitor (pid="]);
    assert_eq!(server.ask("colour.name"), "blue");
    // File times may count whole seconds, and byte code is kept by time and size.
    let changed = std::time::SystemTime::now() + Duration::from_secs(2);
    let file = std::fs::File::create(directory.path().join("colour.py")).expect("the module");
    std::io::Write::write_all(&mut &file, b"name = 'orange'\n").expect("written");
    file.set_modified(changed).expect("its time");
    let seen = eventually(Duration::from_secs(15), || {
        let answer = server.try_request("GET", "/?colour.name", &[], b"").ok().filter(|answer| answer.status == 200)?;
        (answer.json() == "orange").then_some(())
    });
    assert!(seen.is_some(), "the change is not seen");
}

#[test]
fn server_status_tells_local_clients_how_apache_and_the_process_groups_are() {
    let directory = directory();
    let server = start(&directory, &["--server-status"]);
    assert_eq!(server.ask("1"), 1);
    assert!(server.get("/server-status").text().contains("Server uptime"));
    assert_eq!(server.get("/wsgi-status?format=json").json()["groups"][0]["requests"]["2xx"], 1);
    assert_eq!(server.get("/wsgi-status/ready").text(), "ready\n");
}
