//! Nobody makes root read, run, write or give away a file of somebody else's choice.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use harness::{Builder, Express, HELLO, Httpd, PROBE, Scratch, Site, cannot_run, eventually, is_root, kill, product};

/// The user of the attacker's process group.
const ATTACKER: &str = "news";

/// Files of several users need root.
fn cannot(case: &str) -> bool {
    if !is_root() {
        cannot_run(case, "needs root");
    }
    !is_root()
}

/// The directory `modules` of a scratch directory, with what `install-module` puts there, and the line that loads it.
fn installed(scratch: &Scratch) -> String {
    let directory = scratch.directory("modules").display().to_string();
    let install = Express::new(&["install-module", "--modules-directory", &directory]).run();
    assert_eq!(install.code, Some(0), "{}", install.text);
    install.text.lines().filter(|line| line.starts_with("Load")).map(|line| format!("{line}\n")).collect()
}

/// A server with a group of the attacker, whose virtual environment has a program of the supervisor's name in it that
/// tells who ran it.
fn with_a_trap(scratch: &Scratch, load: &str) -> Builder {
    let version = product().python("'%d.%d' % sys.version_info[:2]");
    let trap = format!("venv/lib/python{version}/site-packages/mod_wsgi/server/mod_wsgi-supervisor");
    let sprung = scratch.path().join("sprung");
    scratch.write(&trap, format!("#!/bin/sh\nid >{}\n", sprung.display()));
    scratch.write(&format!("{}/../_daemon.py", Path::new(&trap).parent().expect("a parent").display()), "");
    scratch.directory("venv/bin");
    symlink(product().program("python"), scratch.path().join("venv/bin/python")).expect("a link");
    scratch.give("venv", ATTACKER);
    let home = scratch.path().join("venv");
    Httpd::builder().app("site.wsgi", HELLO).module_config(load).conf(&format!(
        "WSGIDaemonProcess evil user={ATTACKER} group={ATTACKER} python-home={}\n\
         WSGIScriptAlias / {{apps}}/site.wsgi process-group=evil application-group=%{{GLOBAL}}",
        home.display()
    ))
}

#[test]
fn root_looks_for_its_supervisor_in_no_virtual_environment() {
    if cannot("root_looks_for_its_supervisor_in_no_virtual_environment") {
        return;
    }
    let scratch = Scratch::new();
    let load = installed(&scratch);
    let server = with_a_trap(&scratch, &load).start();
    server.log.expect(&["mod_wsgi cannot be imported", "WSGI1306: …failed at start"]);
    assert!(!scratch.path().join("sprung").exists(), "the attacker's program was run");
    server.finish();
    fs::remove_dir_all(scratch.path().join("venv")).expect("removed");
    fs::remove_file(scratch.path().join("mod_wsgi-supervisor")).expect("it was installed");
    let done = with_a_trap(&scratch, &load).fails_to_start();
    assert!(!scratch.path().join("sprung").exists(), "the attacker's program was run");
    assert!(
        done.text.contains("mod_wsgi-supervisor is neither in") && done.text.contains("install-module"),
        "{}",
        done.text
    );
}

#[test]
fn root_runs_no_supervisor_that_others_could_have_exchanged() {
    if cannot("root_runs_no_supervisor_that_others_could_have_exchanged") {
        return;
    }
    let scratch = Scratch::new();
    let load = installed(&scratch);
    let server = || Httpd::builder().module_config(&load).conf("WSGIDaemonProcess site");
    let refused = |by: &str| {
        let done = server().fails_to_start();
        assert!(!matches!(done.code, Some(0) | None), "{:?} {}", done.code, done.text);
        assert!(done.text.contains("root does not run") && done.text.contains(by), "{}", done.text);
    };
    let serves = || {
        let site = server().start();
        // The interpreter on PATH may be one that the user of Apache's processes cannot run, or that has no package of
        // ours.
        site.log.expect(&["WSGI1304: ", "cannot be imported", "WSGI1306: …failed at start"]);
        site.finish();
    };
    serves();
    scratch.give("mod_wsgi-supervisor", ATTACKER);
    refused("mod_wsgi-supervisor belongs to news (uid 9)");
    scratch.give("mod_wsgi-supervisor", "root");
    scratch.set_mode("mod_wsgi-supervisor", 0o777);
    refused("everybody may write to the file");
    scratch.set_mode("mod_wsgi-supervisor", 0o755);
    let scratched = scratch.path();
    fs::rename(scratched.join("mod_wsgi-supervisor"), scratched.join("modules/mod_wsgi-supervisor")).expect("moved");
    scratch.set_mode("modules", 0o777);
    refused("everybody may write to the directory");
    scratch.set_mode("modules", 0o755);
    scratch.give("modules", ATTACKER);
    scratch.give("modules/mod_wsgi-supervisor", "root");
    // The owner of the module could have put anything into that, and root has loaded it. A group that has nobody else
    // in it is the owner.
    serves();
    scratch.set_mode("modules", 0o775);
    serves();
}

/// Whether a configuration with this option for a group of the attacker is accepted, and the text.
fn check(options: &str) -> (bool, String) {
    Httpd::builder().conf(&format!("WSGIDaemonProcess evil user={ATTACKER} group={ATTACKER} {options}")).check()
}

#[test]
fn an_env_file_never_leads_to_what_its_user_could_not_read() {
    if cannot("an_env_file_never_leads_to_what_its_user_could_not_read") {
        return;
    }
    let scratch = Scratch::new();
    scratch.write("roots/tenant-b.env", "DATABASE_PASSWORD=of-tenant-b\n");
    scratch.set_mode("roots/tenant-b.env", 0o600);
    let roots = scratch.path().join("roots/tenant-b.env");
    let app = scratch.directory("app");
    symlink(&roots, app.join("link")).expect("a link");
    fs::hard_link(&roots, app.join("hard")).expect("a link");
    symlink(scratch.path().join("roots"), app.join("way")).expect("a link");
    fs::File::create(app.join("large")).expect("a file").set_len(600 << 20).expect("a sparse file");
    fs::write(app.join("own.env"), "OWN=1\n").expect("a file");
    make_fifo(&app.join("fifo"));
    scratch.give("app", ATTACKER);
    // The hard link is the same file.
    scratch.give("roots", "root");
    for (name, reason) in [
        ("link", "is a symbolic link"),
        ("hard", "Permission denied"),
        ("way/tenant-b.env", "Permission denied"),
        ("large", "longer than 1048576 bytes"),
        ("fifo", "is no regular file"),
    ] {
        let (accepted, text) = check(&format!("env-file={}", app.join(name).display()));
        assert!(accepted && text.contains(reason), "{name}: {text}");
        assert!(text.contains("the processes of the group cannot start") && !text.contains("of-tenant-b"), "{text}");
    }
    let (accepted, text) = check(&format!("env-file={}", app.join("own.env").display()));
    assert!(accepted, "{text}");
    let (accepted, text) =
        Httpd::builder().conf(&format!("WSGIDaemonProcess other env-file={}", app.join("own.env").display())).check();
    assert!(!accepted && text.contains("belongs to news (uid 9)"), "{text}");
}

/// Makes a FIFO.
fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

#[test]
fn an_env_file_that_is_exchanged_later_stops_its_own_group_only() {
    if cannot("an_env_file_that_is_exchanged_later_stops_its_own_group_only") {
        return;
    }
    let scratch = Scratch::new();
    let app = scratch.directory("app");
    fs::write(app.join("own.env"), "OWN=1\n").expect("a file");
    scratch.give("app", ATTACKER);
    let mut server = Httpd::site("", PROBE)
        .conf(&format!(
            "WSGIDaemonProcess evil user={ATTACKER} group={ATTACKER} env-file={}\n\
             WSGIScriptAlias /evil {{apps}}/site.wsgi process-group=evil application-group=%{{GLOBAL}}",
            app.join("own.env").display()
        ))
        .start();
    server.log.expect(&["WSGI1304: process group 'evil' gets no process", "WSGI1307: …was ended by signal"]);
    fs::remove_file(app.join("own.env")).expect("removed");
    make_fifo(&app.join("own.env"));
    for how in ["has died", "has died again", "is of an earlier configuration"] {
        let before = process(&server).expect("it answers");
        match how {
            "is of an earlier configuration" => server.signal(libc::SIGUSR1),
            _ => assert!(kill(before, libc::SIGKILL)),
        }
        let after = eventually(Duration::from_secs(20), || process(&server).filter(|now| *now != before));
        assert!(after.is_some(), "the other group's process is not replaced when it {how}");
    }
    server.log.wait_for("WSGI1104: …own.env is no regular file; the processes of the group cannot start");
    assert!(server.stop().is_some(), "it stops in time");
}

/// The process that answers at `/`, if one does.
fn process(server: &Httpd) -> Option<u32> {
    let answer = server.try_request("GET", "/?os.getpid()", &[], b"").ok().filter(|answer| answer.status == 200)?;
    answer.json().as_u64().and_then(|pid| u32::try_from(pid).ok())
}

#[test]
fn a_virtual_environment_of_an_ordinary_user_works_for_that_user() {
    let server = Httpd::site("", HELLO).as_user("www-data").start();
    assert_eq!(server.get("/").text(), "hello");
    server.finish();
}
