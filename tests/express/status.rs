//! `status`: how the process groups of a running server are, asked of the server itself.

use harness::{Express, Finished, Foreground, HELLO, ORDINARY_USER, PROBE, Scratch, Site};

fn start(directory: &Scratch, words: &[&str]) -> Foreground {
    directory.write("probe.wsgi", PROBE);
    let words: Vec<_> = ["start-server", "probe.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).start()
}

fn ask(server: &Foreground, words: &[&str]) -> Finished {
    let root = server.server_root().display().to_string();
    let words: Vec<_> = words.iter().copied().chain(["--server-root", &root]).collect();
    Express::new(&words).env("TERM", "xterm").run()
}

#[test]
fn each_process_is_a_line_of_the_table_and_no_colours_go_to_a_file() {
    let directory = Scratch::new();
    let server = start(&directory, &["--processes", "2", "--threads", "3", "--process-group", "shop"]);
    let pid = server.ask("os.getpid()").to_string();
    let all_ready = || Some(ask(&server, &["status"])).filter(|done| done.text.contains("2 of 2"));
    let done = harness::eventually(std::time::Duration::from_secs(20), all_ready).expect("both are ready");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.text.contains("shop: ready, 2 of 2 processes, 0 of 6 threads busy"), "{done:?}");
    assert!(done.text.contains("1 answer, 0 of them 5xx"), "{done:?}");
    let line = done.text.lines().find(|line| line.trim_start().starts_with(&pid)).unwrap_or_default();
    assert!(line.contains("ready") && line.contains("0/3") && line.contains("MiB"), "{done:?}");
    assert!(done.text.lines().all(|line| line.chars().count() <= 80) && !done.text.contains('\x1b'), "{done:?}");
}

#[test]
fn as_json_it_has_the_names_of_the_status_page() {
    let directory = Scratch::new();
    let server = start(&directory, &["--server-status"]);
    let pid = server.ask("os.getpid()");
    let done = ask(&server, &["status", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&done.text).expect("JSON");
    let page = server.get("/wsgi-status?format=json").json();
    let (ours, theirs) = (&told["groups"][0], &page["groups"][0]);
    for name in
        ["name", "state", "processes_configured", "processes_ready", "threads", "requests_waiting", "process_exits"]
    {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    assert_eq!(ours["processes"][0]["pid"], pid);
    let names = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours["processes"][0]), names(&theirs["processes"][0]));
    assert_eq!(told["started"], page["started"]);
}

#[test]
fn a_group_whose_processes_do_not_start_ends_it_with_code_1() {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    directory.write("service.py", "raise SystemExit('not today')\n");
    let words = ["start-server", "hello.wsgi", "--service-script", "tasks", "service.py"];
    let server = Express::new(&words).within(directory.path()).start();
    server.console.expect(&["service:tasks", "service.py"]);
    server.console.wait_for("not today");
    let done = harness::eventually(std::time::Duration::from_secs(20), || {
        let done = ask(&server, &["status"]);
        (done.code == Some(1)).then_some(done)
    });
    assert!(done.expect("code 1").text.contains("service:tasks: down, 0 of 1 processes"));
}

#[test]
fn where_no_server_runs_that_is_said() {
    let directory = Scratch::new();
    let root = directory.path().join("nothing").display().to_string();
    let done = Express::new(&["status", "--server-root", &root]).run();
    assert!(done.code == Some(1) && done.text.contains("there is no server in"), "{done:?}");
}

#[test]
fn a_restart_replaces_processes_that_are_still_loading_the_application() {
    let directory = Scratch::new();
    directory.write("stuck", "");
    let load = "import os, time\ntry:\n    os.rename('stuck', 'taken')\nexcept OSError:\n    pass\nelse:\n    while True: time.sleep(0.1)\n";
    directory.write("slow.wsgi", format!("{load}{HELLO}"));
    directory.give_to(ORDINARY_USER);
    let server = Express::new(&["start-server", "slow.wsgi", "--processes", "2", "--shutdown-timeout", "1"])
        .within(directory.path())
        .start();
    server.console.expect(&["WSGI1307: …did not end within its shutdown-timeout"]);
    assert_eq!(server.get("/").text(), "hello", "one has loaded it, the other never will");
    let done = ask(&server, &["restart"]);
    assert!(done.code == Some(0) && done.text.contains("all processes are new"), "{done:?}");
}

#[test]
fn a_restart_tells_how_far_each_process_is() {
    let directory = Scratch::new();
    let server = start(&directory, &["--processes", "2"]);
    let before = server.ask("os.getpid()").to_string();
    let done = ask(&server, &["reload"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.text.matches(" serves\n").count() >= 1, "{done:?}");
    assert!(done.text.contains(&format!("process {before} ")), "{done:?}");
    assert!(done.text.trim_end().ends_with("all processes are new"), "{done:?}");
}
