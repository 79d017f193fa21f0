//! `setup-server`: a server root with an `apachectl` that works.

use harness::{Control, Express, HELLO, Scratch, Site, eventually, product};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn set_up(directory: &Scratch, command: &str, words: &[&str]) -> Control {
    directory.write("hello.wsgi", HELLO);
    let words: Vec<_> = [command, "hello.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).set_up()
}

fn ran(control: &Control, word: &str) {
    let done = control.apachectl(word);
    assert_eq!(done.code, Some(0), "apachectl {word}: {}", done.text);
}

fn starts(control: &Control) {
    ran(control, "start");
    let listens = eventually(Duration::from_secs(20), || control.listens().then_some(()));
    assert!(listens.is_some(), "{}", control.log.text());
    assert_eq!(control.get("/").text(), "hello");
}

#[test]
fn apachectl_tests_starts_restarts_and_stops_the_server() {
    let directory = Scratch::new();
    let control = set_up(&directory, "setup-server", &["--processes", "2"]);
    assert!(!control.listens(), "setting up starts nothing");
    ran(&control, "configtest");
    starts(&control);
    let parent = control.pid().expect("a pid file");
    ran(&control, "graceful");
    assert_eq!(control.pid(), Some(parent));
    let serves = || control.try_request("GET", "/", &[], b"").is_ok_and(|answer| answer.text() == "hello");
    assert!(eventually(Duration::from_secs(20), || serves().then_some(())).is_some(), "{}", control.log.text());
    ran(&control, "stop");
    assert!(
        eventually(Duration::from_secs(20), || control.processes().is_empty().then_some(())).is_some(),
        "{:?}",
        control.processes()
    );
    assert!(!control.listens());
}

#[test]
fn setup_only_is_the_same_as_setup_server() {
    let directory = Scratch::new();
    let control = set_up(&directory, "start-server", &["--setup-only"]);
    ran(&control, "configtest");
    assert!(control.processes().is_empty(), "nothing was started");
}

#[test]
fn a_mistake_in_the_users_own_configuration_is_found_by_configtest() {
    let directory = Scratch::new();
    directory.write("extra.conf", "NoSuchDirective\n");
    let control = set_up(&directory, "setup-server", &["--include-file", "extra.conf"]);
    let done = control.apachectl("configtest");
    assert!(!matches!(done.code, Some(0) | None), "{}", done.text);
    assert!(done.text.contains("NoSuchDirective"), "{}", done.text);
}

#[test]
fn a_server_root_with_a_blank_in_its_name_works() {
    let directory = Scratch::new();
    let blank = directory.directory("my site");
    directory.write("my site/hello.wsgi", HELLO);
    let control = Express::new(&["setup-server", "hello.wsgi"]).within(&blank).in_root_named("a root").set_up();
    starts(&control);
}

#[test]
fn the_configuration_is_printed_and_nothing_is_made() {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    let root = directory.path().join("root").display().to_string();
    let words = ["setup-server", "hello.wsgi", "--print", "--server-root", &root, "--port", "8123"];
    let done = Express::new(&words).within(directory.path()).as_ordinary_user().run();
    assert_eq!(done.code, Some(0), "{done:?}");
    for line in ["Listen 8123", "WSGIDaemonProcess "] {
        assert!(done.text.lines().any(|found| found.trim_start().starts_with(line)), "{line}: {}", done.text);
    }
    assert!(!directory.path().join("root").exists(), "nothing was made");
}

/// The permissions that everything in a directory has.
fn modes(directory: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(place) = waiting.pop() {
        for entry in std::fs::read_dir(&place).expect("a directory").flatten() {
            let metadata = entry.metadata().expect("metadata");
            let name = entry.path().strip_prefix(directory).expect("inside").to_path_buf();
            found.insert(name, metadata.permissions().mode() & 0o7777);
            if metadata.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn the_umask_has_no_say_in_the_permissions_of_the_server_root() {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    let express = product().express().display().to_string();
    let with = |umask: &str| {
        let words = ["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), &express, "setup-server", "hello.wsgi"];
        let control = Express::program("sh", &words).within(directory.path()).set_up();
        modes(control.server_root())
    };
    let usual = with("022");
    assert_eq!(usual.get(Path::new("httpd.conf")), Some(&0o600), "{usual:?}");
    assert_eq!(usual.get(Path::new("handler.wsgi")), Some(&0o644), "{usual:?}");
    assert_eq!(with("0"), usual);
    assert_eq!(with("077"), usual);
}
