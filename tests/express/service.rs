//! A server as a service of systemd.

use harness::{Express, HELLO, Notified, PROBE, Scratch, Site, eventually, judge_unit, kill};
use std::time::Duration;

/// An application that is loaded when there is a file `go`.
fn gated() -> String {
    let gate =
        "import os, time\nwhile not os.path.exists(os.path.join(os.path.dirname(__file__), 'go')): time.sleep(0.05)\n";
    format!("{gate}{PROBE}")
}

#[test]
fn systemd_is_told_that_the_server_is_ready_when_the_application_is_loaded() {
    let directory = Scratch::new();
    directory.write("probe.wsgi", gated());
    let mut systemd = Notified::new(&directory);
    let mut server = Express::new(&["start-server", "probe.wsgi"])
        .within(directory.path())
        .env("NOTIFY_SOCKET", &systemd.path())
        .env("WATCHDOG_USEC", "1000000")
        .start();
    // It listens and lives, but is not ready.
    let before = [systemd.wait_for("WATCHDOG=1"), systemd.wait_for("WATCHDOG=1")].concat();
    assert!(before.iter().all(|message| !message.contains("READY=1")), "{before:?}");
    assert!(before.concat().contains("loads its application"), "{before:?}");
    directory.write("go", "");
    systemd.wait_for("READY=1");
    assert_eq!(
        server.ask("[name for name in os.environ if 'NOTIFY' in name or 'WATCHDOG' in name]"),
        serde_json::json!([])
    );
    let pid = server.pid();
    kill(pid, libc::SIGUSR1);
    let reload = systemd.wait_for("READY=1");
    assert!(reload.iter().any(|message| message.starts_with("RELOADING=1\nMONOTONIC_USEC=")), "{reload:?}");
    assert!(server.stop(libc::SIGTERM).is_some_and(|status| status.success()));
    systemd.wait_for("STOPPING=1");
}

#[test]
fn an_application_that_cannot_be_loaded_is_not_told_as_ready() {
    let directory = Scratch::new();
    directory.write("broken.wsgi", "raise RuntimeError('not today')\n");
    let mut systemd = Notified::new(&directory);
    let server = Express::new(&["start-server", "broken.wsgi"])
        .within(directory.path())
        .env("NOTIFY_SOCKET", &systemd.path())
        .start();
    server.console.expect(&["broken.wsgi", "handler.wsgi"]);
    let told = systemd.wait_for("STATUS=process group 127.0.0.1");
    let told =
        if told.concat().contains("cannot load") { told } else { systemd.wait_for("STATUS=process group 127.0.0.1") };
    assert!(told.concat().contains("cannot load its application") && !told.concat().contains("READY=1"), "{told:?}");
    // A reload with the same mistake is over, too.
    directory.write("broken.wsgi", HELLO);
    assert!(eventually(Duration::from_secs(20), || (server.get("/").status == 200).then_some(())).is_some());
    systemd.wait_for("READY=1");
}

#[test]
fn the_unit_is_one_that_systemd_understands_and_leaves_the_service_few_rights() {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    let words = [
        "setup-server",
        "hello.wsgi",
        "--systemd",
        "--process-group",
        "shop",
        "--user",
        "www-data",
        "--group=www-data",
    ];
    let words: Vec<_> = words.into_iter().chain(["--setenv", "NAME", "100 % $sure", "--port", "80"]).collect();
    let done = Express::new(&words).within(directory.path()).run();
    assert_eq!(done.code, Some(0), "{done:?}");
    for line in [
        "Type=notify",
        "NotifyAccess=all",
        "User=www-data",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "ExecReload=/bin/kill -USR1 $MAINPID",
        "StateDirectory=shop",
    ] {
        assert!(done.text.lines().any(|found| found == line), "{line}: {}", done.text);
    }
    let start = done.text.lines().find(|line| line.starts_with("ExecStart=")).expect("a command");
    assert!(!start.contains("--user") && !start.contains("www-data") && !start.contains("--systemd"), "{start}");
    assert!(start.contains(r#"--setenv NAME "100 %% $$sure""#) && start.contains("--log-to-terminal"), "{start}");
    judge_unit(&directory, &done.text, 30);
}

#[test]
fn a_unit_without_a_user_has_one_of_systemds_own() {
    let directory = Scratch::new();
    directory.directory("site");
    let done = Express::new(&["setup-server", "--systemd", "--application-type", "static", "site"])
        .within(directory.path())
        .run();
    assert!(done.text.contains("\nDynamicUser=yes\n") && done.text.contains("\nType=exec\n"), "{done:?}");
    assert!(done.text.contains(&format!("\nWorkingDirectory={}\n", directory.path().display())), "{done:?}");
    assert!(!directory.path().join(".local").exists(), "nothing was made");
}
