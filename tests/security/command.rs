//! What `mod_wsgi-express` makes and uses as root is for nobody else to give away, to exchange or to read.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{
    Express, Finished, HELLO, ORDINARY_USER, PROBE, Scratch, Site, cannot_run, eventually, is_root, product, run,
};

/// The user who attacks.
const ATTACKER: &str = "news";

/// Files of several users need root.
fn cannot(case: &str) -> bool {
    if !is_root() {
        cannot_run(case, "needs root");
    }
    !is_root()
}

fn directory() -> Scratch {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    directory
}

/// `setup-server` with these words after those that name a server root `root` in the directory.
fn set_up(directory: &Scratch, words: &[&str], umask: &str) -> Finished {
    let root = directory.path().join("root");
    let mut command = Command::new("sh");
    command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(product().express());
    command.args(["setup-server", "hello.wsgi", "--port", "8123", "--server-root"]).arg(root).args(words);
    if is_root() {
        command.args(["--user", ORDINARY_USER, "--group", ORDINARY_USER]);
    }
    run(command.current_dir(directory.path()), directory.path())
}

fn refused(done: &Finished, named: &[&str]) {
    assert!(!matches!(done.code, Some(0) | None), "{:?} {}", done.code, done.text);
    for name in named {
        assert!(done.text.contains(name), "{name:?} is not in {}", done.text);
    }
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap_or_else(|e| panic!("{}: {e}", path.display())).mode() & 0o7777
}

#[test]
fn python_eggs_gives_no_directory_away() {
    if cannot("python_eggs_gives_no_directory_away") {
        return;
    }
    let directory = directory();
    fs::DirBuilder::new().mode(0o700).create(directory.path().join("roots")).expect("a directory");
    directory.directory("app");
    symlink(directory.path().join("roots"), directory.path().join("app/eggs")).expect("a link");
    directory.give("app", ATTACKER);
    // What is there is left alone, whatever it is.
    let done = set_up(&directory, &["--python-eggs", "app/eggs"], "022");
    assert_eq!(done.code, Some(0), "{}", done.text);
    assert_eq!(directory.path().join("roots").metadata().expect("it is there").uid(), 0);
    refused(
        &set_up(&directory, &["--python-eggs", "app/other"], "022"),
        &["belongs to news (uid 9)", "--python-eggs", "root (chown)"],
    );
    let done = set_up(&directory, &["--python-eggs", "eggs"], "022");
    assert_eq!(done.code, Some(0), "{}", done.text);
    let made = directory.path().join("eggs").metadata().expect("it is made");
    assert_ne!(made.uid(), 0, "it is the application's");
    assert_eq!(made.mode() & 0o777, 0o700);
}

#[test]
fn the_umask_decides_no_permissions() {
    for umask in ["0", "022", "077"] {
        let directory = directory();
        let done = set_up(&directory, &["--log-directory", "logs"], umask);
        assert_eq!(done.code, Some(0), "umask {umask}: {}", done.text);
        let root = directory.path().join("root");
        let expected = [("", 0o755), ("htdocs", 0o755), ("apachectl", 0o755), ("handler.wsgi", 0o644)];
        for (name, wanted) in expected.into_iter().chain([("httpd.conf", 0o600), ("envvars", 0o600)]) {
            assert_eq!(mode(&root.join(name)), wanted, "umask {umask}: {name}");
        }
        assert_eq!(mode(&directory.path().join("logs")), 0o755, "umask {umask}");
        let script = fs::read_to_string(root.join("apachectl")).expect("a script");
        assert!(script.contains("\numask o-w\n"), "logs are made by Apache");
    }
}

#[test]
fn values_of_options_are_for_the_owner_alone() {
    let directory = directory();
    let done = set_up(&directory, &["--setenv", "SECRET_KEY", "s3cret-value"], "022");
    assert_eq!(done.code, Some(0), "{}", done.text);
    assert!(!done.text.contains("s3cret-value"), "{}", done.text);
    let mut found = 0;
    for entry in fs::read_dir(directory.path().join("root")).expect("the server root").flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        if text.windows(12).any(|part| part == b"s3cret-value") {
            found += 1;
            assert_eq!(mode(&entry.path()) & 0o077, 0, "{}", entry.path().display());
        }
    }
    assert_eq!(found, 1, "it is in httpd.conf");
}

#[test]
fn an_env_file_reaches_the_application_and_its_check_and_nobody_else() {
    let directory = Scratch::new();
    directory.write("shop.py", format!("import os\nSEEN = os.environ['TOKEN']\n{PROBE}"));
    directory.write("secrets", "TOKEN=from-the-file\n");
    directory.set_mode("secrets", 0o600);
    let words = ["start-server", "--application-type", "module", "shop", "--env-file", "secrets", "--python-path", "."];
    let server = Express::new(&words).within(directory.path()).start();
    assert_eq!(server.ask("os.environ['TOKEN'][:4]"), "from");
    for name in ["httpd.conf", "apachectl", "handler.wsgi"] {
        let text = fs::read_to_string(server.server_root().join(name)).expect("a file");
        assert!(!text.contains("from-the-file"), "{name}");
    }
}

#[test]
fn a_server_root_that_others_could_exchange_is_refused() {
    if cannot("a_server_root_that_others_could_exchange_is_refused") {
        return;
    }
    let directory = directory();
    directory.directory("root");
    std::os::unix::fs::chown(directory.path().join("root"), None, Some(ids_of(ATTACKER))).expect("root gives it away");
    directory.set_mode("root", 0o775);
    refused(&set_up(&directory, &[], "022"), &["the group news (gid 9) may write", "chmod g-w", "--server-root"]);
    directory.set_mode("root", 0o755);
    directory.give("root", "root");
    assert_eq!(set_up(&directory, &[], "022").code, Some(0));
    // The directory above it is another's, who could put another one there.
    let outer = Scratch::new();
    outer.write("site/hello.wsgi", HELLO);
    outer.give("site", ATTACKER);
    let root = outer.path().join("site/root").display().to_string();
    let run = |command: &str| {
        let words = [command, "site/hello.wsgi", "--server-root", &root, "--user", ORDINARY_USER, "--port", "8123"];
        Express::new(&words).within(outer.path()).run()
    };
    refused(&run("start-server"), &["/site belongs to news (uid 9)", "--server-root"]);
    let done = run("setup-server");
    assert!(done.code == Some(0) && done.text.contains("/site belongs to news (uid 9)"), "{}", done.text);
    // Where it leads to is not for them to say.
    fs::rename(outer.path().join("site/root"), outer.path().join("site/moved")).expect("renamed");
    outer.write("roots/httpd.conf", "of somebody else\n");
    symlink(outer.path().join("roots"), outer.path().join("site/root")).expect("a link");
    std::os::unix::fs::lchown(outer.path().join("site/root"), Some(ids_of(ATTACKER)), None).expect("theirs");
    refused(&run("setup-server"), &["root belongs to news (uid 9)"]);
    assert_eq!(fs::read_to_string(outer.path().join("roots/httpd.conf")).expect("a file"), "of somebody else\n");
}

/// The number of a user, which is that of a group here.
fn ids_of(user: &str) -> u32 {
    let scratch = Scratch::new();
    scratch.write("x", "");
    scratch.give("x", user);
    scratch.path().join("x").metadata().expect("a file").gid()
}

#[test]
fn what_roots_apache_would_carry_out_must_not_be_for_others_to_write() {
    if cannot("what_roots_apache_would_carry_out_must_not_be_for_others_to_write") {
        return;
    }
    let directory = directory();
    directory.write("app/extra.conf", "# nothing yet\n");
    directory.write("app/logs/error_log", "");
    directory.give("app", ATTACKER);
    for words in [
        ["--include-file", "app/extra.conf"],
        ["--rewrite-rules", "app/extra.conf"],
        ["--envvars-script", "app/extra.conf"],
        ["--log-directory", "app/logs"],
        ["--pid-file", "app/httpd.pid"],
    ] {
        refused(&set_up(&directory, &words, "022"), &["/app belongs to news (uid 9)", words[0]]);
    }
}

#[test]
fn a_socket_directory_that_another_user_has_made_is_not_used() {
    if cannot("a_socket_directory_that_another_user_has_made_is_not_used") {
        return;
    }
    let directory = directory();
    let sockets = directory.directory("sockets");
    let control = Express::new(&["setup-server", "hello.wsgi", "--socket-prefix", &sockets.display().to_string()])
        .within(directory.path())
        .set_up();
    directory.give("sockets", ATTACKER);
    // Apache reads its configuration a second time behind the command's back.
    let _ = control.apachectl("start");
    let log = control.log.wait_for("sockets belongs to news (uid 9)");
    assert!(log.contains("WSGISocketPrefix"), "{log}");
    assert!(eventually(Duration::from_secs(20), || control.processes().is_empty().then_some(())).is_some());
}

#[test]
fn the_status_page_is_for_nobody_behind_a_proxy() {
    let directory = directory();
    let words = ["start-server", "hello.wsgi", "--server-status", "--trust-proxy", "127.0.0.1"];
    let words = words.into_iter().chain(["--trust-proxy-header", "X-Forwarded-For"]).collect::<Vec<_>>();
    let server = Express::new(&words).within(directory.path()).start();
    let status = |headers: &[(&str, &str)]| server.request("GET", "/server-status", headers, b"").status;
    assert_eq!(status(&[]), 200, "for somebody on this machine");
    for name in ["X-Forwarded-For", "Forwarded", "x-real-ip", "Via"] {
        assert_eq!(status(&[(name, "203.0.113.7")]), 403, "{name}");
        assert_eq!(server.request("GET", "/wsgi-status", &[(name, "203.0.113.7")], b"").status, 403, "{name}");
    }
}
