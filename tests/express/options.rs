//! Options and what comes of them: services, other servers, the life of processes.

use harness::{Express, Foreground, HELLO, Httpd, PROBE, Scratch, Site, alive, eventually, kill};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

fn folder() -> Scratch {
    let folder = Scratch::new();
    folder.write("app.wsgi", PROBE);
    folder
}

fn start(folder: &Scratch, words: &[&str]) -> Foreground {
    let words: Vec<_> = ["start-server", "app.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(folder.path()).start()
}

#[test]
fn a_service_runs_beside_the_application_and_is_started_again() {
    let folder = folder();
    folder.set_mode("", 0o777);
    folder.write("tasks.py", "import os, sys, time\nimport library\nprint('at work', library.name, flush=True)\nopen('tasks.pid', 'w').write(str(os.getpid()))\nwhile True:\n    time.sleep(60)\n");
    folder.write("lib/library.py", "name = 'with its library'\n");
    let words =
        ["--service-script", "tasks", "tasks.py", "--service-log-file", "tasks", "tasks.log", "--python-path", "lib"];
    let server = start(&folder, &words);
    server.console.expect(&["daemon process"]);
    let running = |other: Option<u32>| {
        let pid = || std::fs::read_to_string(folder.path().join("tasks.pid")).ok()?.parse().ok();
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
    let folder = folder();
    let target = format!("http://127.0.0.1:{}/inner/", other.port());
    let server = start(&folder, &["--proxy-mount-point", "/other", &target, "--proxy-timeout", "20"]);
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
    let folder = folder();
    let target = format!("http://127.0.0.1:{}", other.port());
    let server = start(&folder, &["--proxy-virtual-host", "other.example", &target]);
    let with_host = |host: &str| server.request("GET", "/?1", &[("Host", host)], b"").text();
    assert_eq!(with_host("other.example"), "hello");
    assert_eq!(with_host("localhost"), "1");
    other.finish();
}

#[test]
fn processes_are_replaced_after_so_many_requests_in_both_modes() {
    for mode in [&[][..], &["--embedded-mode"]] {
        let folder = folder();
        let words: Vec<_> = ["--maximum-requests", "3"].into_iter().chain(mode.iter().copied()).collect();
        let server = start(&folder, &words);
        let first = server.ask("os.getpid()");
        let replaced = eventually(DEADLINE, || (server.ask("os.getpid()") != first).then_some(()));
        assert!(replaced.is_some(), "{mode:?}");
    }
}
