//! Options and what comes of them: services, other servers, the life of processes.

use harness::{Express, Foreground, HELLO, Httpd, PROBE, Scratch, Site, alive, cannot_run, eventually, is_root, kill};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

fn directory() -> Scratch {
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    directory
}

fn start(directory: &Scratch, words: &[&str]) -> Foreground {
    let words: Vec<_> = ["start-server", "app.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).start()
}

#[test]
fn a_service_runs_beside_the_application_and_is_started_again() {
    let directory = directory();
    directory.set_mode("", 0o777);
    directory.write("tasks.py", "import os, sys, time\nimport library\nprint('at work', library.name, flush=True)\nopen('tasks.pid', 'w').write(str(os.getpid()))\nwhile True:\n    time.sleep(60)\n");
    directory.write("lib/library.py", "name = 'with its library'\n");
    let words =
        ["--service-script", "tasks", "tasks.py", "--service-log-file", "tasks", "tasks.log", "--python-path", "lib"];
    let server = start(&directory, &words);
    server.console.expect(&["WSGI1307: "]);
    let running = |other: Option<u32>| {
        let pid = || std::fs::read_to_string(directory.path().join("tasks.pid")).ok()?.parse().ok();
        let found = eventually(DEADLINE, || pid().filter(|pid| Some(*pid) != other && alive(*pid)));
        found.expect("the service runs")
    };
    let first = running(None);
    assert_ne!(server.ask("os.getpid()"), first);
    let title = std::fs::read_to_string(format!("/proc/{first}/cmdline")).expect("its command line");
    assert!(title.contains("(wsgi:service:tasks)"), "{title}");
    let log = server.server_root().join("tasks.log");
    let said = eventually(DEADLINE, || {
        std::fs::read_to_string(&log).ok().filter(|log| log.contains("at work with its library"))
    });
    assert!(said.is_some(), "its own log");
    kill(first, libc::SIGKILL);
    running(Some(first));
}

#[test]
fn a_part_of_the_site_is_another_servers() {
    let other = Httpd::site("", PROBE).start();
    let directory = directory();
    let target = format!("http://127.0.0.1:{}/inner/", other.port());
    let server = start(&directory, &["--proxy-mount-point", "/other", &target, "--proxy-timeout", "20"]);
    let told =
        ["PATH_INFO", "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PREFIX"].map(|name| format!("environ['{name}']"));
    let seen = server.ask_at("/other/page", &format!("[{}]", told.join(",")));
    assert_eq!(seen, serde_json::json!(["/inner/page", server.port().to_string(), "/other"]));
    let bare = server.get("/other");
    assert!(bare.status == 302 && bare.header("location").is_some_and(|to| to.ends_with("/other/")), "{bare:?}");
    assert_eq!(server.ask_at("/otherwise", "environ['PATH_INFO']"), "/otherwise");
    other.finish();
}

#[test]
fn a_host_name_is_another_servers() {
    let other = Httpd::site("", HELLO).start();
    let directory = directory();
    let target = format!("http://127.0.0.1:{}", other.port());
    let server = start(&directory, &["--proxy-virtual-host", "other.example", &target]);
    let with_host = |host: &str| server.request("GET", "/?1", &[("Host", host)], b"").text();
    assert_eq!(with_host("other.example"), "hello");
    assert_eq!(with_host("localhost"), "1");
    other.finish();
}

#[test]
fn processes_are_replaced_after_so_many_requests_in_both_modes() {
    for mode in [&[][..], &["--embedded-mode"]] {
        let directory = directory();
        let words: Vec<_> = ["--maximum-requests", "3"].into_iter().chain(mode.iter().copied()).collect();
        let server = start(&directory, &words);
        let first = server.ask("os.getpid()");
        let replaced = eventually(DEADLINE, || (server.ask("os.getpid()") != first).then_some(()));
        assert!(replaced.is_some(), "{mode:?}");
    }
}

/// Options of the command, and what they are for the process group; what those do is shown by the tests of the
/// directive.
const OF_THE_GROUP: [(&str, &str, &str); 22] = [
    ("--connect-timeout", "7", "connect-timeout=7"),
    ("--cpu-time-limit", "91", "cpu-time-limit=91"),
    ("--daemon-backlog", "33", "listen-backlog=33"),
    ("--deadlock-timeout", "44", "deadlock-timeout=44"),
    ("--eviction-timeout", "3", "eviction-timeout=3"),
    ("--graceful-timeout", "8", "graceful-timeout=8"),
    ("--header-buffer-size", "16384", "header-buffer-size=16384"),
    ("--inactivity-timeout", "600", "inactivity-timeout=600"),
    ("--interrupt-timeout", "4", "interrupt-timeout=4"),
    ("--maximum-requests", "1000", "maximum-requests=1000"),
    ("--queue-timeout", "21", "queue-timeout=21"),
    ("--receive-buffer-size", "8192", "receive-buffer-size=8192"),
    ("--request-timeout", "70", "request-timeout=70"),
    ("--response-buffer-size", "131072", "response-buffer-size=131072"),
    ("--response-flush-delay", "9", "response-flush-delay=9"),
    ("--response-socket-timeout", "35", "response-socket-timeout=35"),
    ("--restart-interval", "3600", "restart-interval=3600"),
    ("--send-buffer-size", "4096", "send-buffer-size=4096"),
    ("--shutdown-timeout", "6", "shutdown-timeout=6"),
    ("--socket-timeout", "61", "socket-timeout=61"),
    ("--startup-timeout", "16", "startup-timeout=16"),
    ("--switch-interval", "0.01", "switch-interval=0.01"),
];

#[test]
fn limits_and_buffers_are_those_of_the_process_group() {
    let directory = directory();
    let words: Vec<_> = ["setup-server", "app.wsgi"]
        .into_iter()
        .chain(OF_THE_GROUP.iter().flat_map(|(option, value, _)| [*option, *value]))
        .collect();
    let server = Express::new(&words).within(directory.path()).set_up();
    let text = std::fs::read_to_string(server.server_root().join("httpd.conf")).expect("the configuration");
    let text = text.replace("\\\n", " ");
    let group = text.lines().find(|line| line.starts_with("WSGIDaemonProcess ")).expect("a process group");
    let group = group.replace('"', "");
    for (option, _, setting) in OF_THE_GROUP {
        assert!(group.split_whitespace().any(|word| word == setting), "{option}: {setting} is not in {group}");
    }
    assert_eq!(server.apachectl("configtest").code, Some(0));
}

#[test]
fn a_group_that_only_has_ignored_requests_is_idle() {
    let directory = directory();
    let server = start(&directory, &["--inactivity-timeout", "1", "--ignore-activity", "/health"]);
    let pid = || server.ask_at("/health", "os.getpid()");
    // A process that has had no other request yet is not idle, but new.
    let first = server.ask("os.getpid()");
    assert!(eventually(DEADLINE, || (pid() != first).then_some(())).is_some(), "it was taken for busy");
}

#[test]
fn a_process_that_has_had_its_cpu_time_is_replaced() {
    let directory = directory();
    let server = start(&directory, &["--cpu-time-limit", "1"]);
    server.console.expect(&["WSGI1307: …has exceeded cpu-time-limit and is replaced"]);
    let first = server.ask("os.getpid()");
    let replaced = || (server.ask("[sum(range(3000000)), os.getpid()][1]") != first).then_some(());
    assert!(eventually(DEADLINE, replaced).is_some());
}

#[test]
fn head_requests_reach_the_application_as_is_asked_for() {
    let script = "def application(environ, start_response):\n    start_response('200 OK', [('X-Method', environ['REQUEST_METHOD'])])\n    return [b'']\n";
    for (when, method) in [("On", "GET"), ("Off", "HEAD")] {
        let directory = Scratch::new();
        directory.write("app.wsgi", script);
        let server = start(&directory, &["--map-head-to-get", when]);
        assert_eq!(server.request("HEAD", "/", &[], b"").header("x-method"), Some(method), "{when}");
    }
}

#[test]
fn a_body_that_does_not_come_is_answered_408() {
    let directory = directory();
    let server = start(&directory, &["--body-timeout", "1", "--body-min-rate", "1"]);
    let mut client = server.client();
    client.send_head("POST", "/?environ['wsgi.input'].read()", &["Content-Length: 5"]).expect("sent");
    assert_eq!(client.status().expect("an answer"), 408);
    server.console.expect(&["request body", "wsgi.input", "Exception"]);
}

#[test]
fn applications_read_apaches_metrics_where_that_is_asked_for() {
    for (words, given) in [(&[][..], false), (&["--server-metrics"], true)] {
        let directory = Scratch::new();
        directory.write("app.wsgi", format!("import mod_wsgi\n{PROBE}"));
        assert_eq!(start(&directory, words).ask("mod_wsgi.server_metrics() is not None"), given);
    }
}

#[test]
fn interpreters_are_left_as_they_are_where_that_is_asked_for() {
    for (words, ran) in [(&[][..], true), (&["--orphan-interpreter"], false)] {
        let directory = Scratch::new();
        directory.set_mode("", 0o777);
        directory
            .write("app.wsgi", format!("import atexit\natexit.register(lambda: open('ran', 'w').close())\n{PROBE}"));
        let mut server = start(&directory, words);
        assert_eq!(server.ask("os.getcwd()"), directory.path().display().to_string());
        server.stop(libc::SIGTERM);
        assert_eq!(directory.path().join("ran").exists(), ran, "{words:?}");
    }
}

#[test]
fn apache_has_the_title_that_is_asked_for() {
    let directory = directory();
    let server = start(&directory, &["--process-name", "our shop"]);
    let title = std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).expect("its command line");
    assert!(title.starts_with("our shop"), "{title}");
}

#[test]
fn a_service_has_a_user_and_a_group_of_its_own() {
    if !is_root() {
        return cannot_run("a_service_has_a_user_and_a_group_of_its_own", "only root can switch users");
    }
    let directory = directory();
    directory.set_mode("", 0o777);
    directory.write(
        "tasks.py",
        "import os, time\nopen('ids.new', 'w').write(f'{os.getuid()} {os.getgid()}')\nos.rename('ids.new', 'ids')\nwhile True:\n    time.sleep(60)\n",
    );
    let words = [
        "--service-script",
        "tasks",
        "tasks.py",
        "--service-user",
        "tasks",
        "daemon",
        "--service-group",
        "tasks",
        "bin",
    ];
    let _server = start(&directory, &words);
    let ids = eventually(DEADLINE, || std::fs::read_to_string(directory.path().join("ids")).ok());
    let number = |option: &str, name: &str| {
        let output = std::process::Command::new("getent").args([option, name]).output().expect("getent runs");
        String::from_utf8_lossy(&output.stdout).split(':').nth(2).expect("a number").to_owned()
    };
    assert_eq!(ids.expect("the service runs"), format!("{} {}", number("passwd", "daemon"), number("group", "bin")));
}
