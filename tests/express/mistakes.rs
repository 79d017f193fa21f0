//! A start that cannot work ends at once, with one clear sentence and a failure code.

use harness::{Express, Finished, HELLO, ORDINARY_USER, Scratch, cannot_run, is_root};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};

fn directory() -> Scratch {
    let directory = Scratch::new();
    directory.write("hello.wsgi", HELLO);
    directory
}

fn start(directory: &Scratch, words: &[&str]) -> Finished {
    let words: Vec<_> = std::iter::once("start-server").chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).with_place().run()
}

/// It refused with one of these codes, by the names of what is wrong, and without a traceback of its own.
#[track_caller]
fn refused(done: &Finished, codes: &[i32], named: &[&str]) {
    let text = &done.text;
    assert!(done.code.is_some_and(|code| codes.contains(&code)), "{:?}: {text}", done.code);
    assert!(!text.contains("panicked at"), "{text}");
    for name in named {
        assert!(text.contains(name), "{name:?} is not in {text}");
    }
}

#[test]
fn a_missing_script_is_named() {
    let done = start(&directory(), &["missing.wsgi"]);
    refused(&done, &[1, 2], &["missing.wsgi"]);
    assert!(!done.text.contains("Traceback"), "{}", done.text);
}

#[test]
fn a_module_that_does_not_import_is_shown_with_its_traceback() {
    let directory = directory();
    directory.write("broken.py", "import os\nimport no_such_module\n");
    let done = start(&directory, &["--application-type", "module", "broken"]);
    refused(&done, &[1, 2], &["broken", "Traceback", "line 2", "No module named 'no_such_module'"]);
}

#[test]
fn a_module_that_is_not_there_is_named() {
    refused(&start(&directory(), &["--application-type", "module", "nosuch.wsgi"]), &[1, 2], &["nosuch"]);
}

#[test]
fn a_missing_directory_is_named_with_its_option() {
    for option in ["--working-directory", "--document-root"] {
        refused(
            &start(&directory(), &["hello.wsgi", option, "no_directory/below"]),
            &[1, 2],
            &[option, "no_directory/below"],
        );
    }
}

#[test]
fn a_host_that_does_not_resolve_is_named_with_its_option() {
    let directory = directory();
    let words = ["start-server", "hello.wsgi", "--host", "www.site-name.invalid"];
    let done = Express::new(&words).within(directory.path()).as_ordinary_user().run();
    refused(&done, &[1, 2], &["--host", "www.site-name.invalid"]);
}

#[test]
fn what_is_no_name_of_a_host_and_a_call_that_is_no_application_are_refused_with_the_cure() {
    let directory = directory();
    directory.write("factory.py", "def create_app():\n    return None\n");
    for (words, named) in [
        (&["hello.wsgi", "--server-name", "a/b"][..], &["--server-name", "a/b", "www.example.com"][..]),
        (&["hello.wsgi", "--server-name", "https://a"], &["--server-name", "no scheme"]),
        (&["hello.wsgi", "--server-name", "a", "--server-alias", "b:80"], &["--server-alias", "port"]),
        (&["factory:create_app()"], &["factory:create_app()", "application = create_app()"]),
        (&["factory:create_app", "--factory"], &["application = create_app()"]),
        (&["factory:missing"], &["'missing'", "application = create_app()"]),
        (
            &["hello.wsgi", "--https-port", "8443", "--server-name", "a", "--ssl-certificate", "tls/site"],
            &["tls/site.crt, given with --ssl-certificate,"],
        ),
    ] {
        let words = [&["start-server"], words].concat();
        let done = Express::new(&words).within(directory.path()).with_place().run();
        refused(&done, &[1, 2], named);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let directory = directory();
    let done = Express::new(&["start-server", "hello.wsgi"]).within(directory.path()).on_port(port).with_place().run();
    refused(&done, &[1, 2], &[&port.to_string()]);
}

#[test]
fn a_server_root_that_cannot_be_written_is_named() {
    let directory = directory();
    let file = directory.write("file", "").display().to_string();
    let root = directory.path().join("file/root").display().to_string();
    let done = Express::new(&["start-server", "hello.wsgi", "--server-root", &root])
        .within(directory.path())
        .with_address()
        .run();
    refused(&done, &[1, 2], &["--server-root", &file]);
}

#[test]
fn a_server_root_of_somebody_else_is_refused() {
    if !is_root() {
        return cannot_run(
            "a_server_root_of_somebody_else_is_refused",
            "only root can make a directory of somebody else",
        );
    }
    let directory = directory();
    let root = directory.directory("theirs");
    chown(&root, Some(65534), Some(65534)).expect("a directory of nobody");
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).expect("a directory for everybody");
    let root = root.display().to_string();
    let words = ["start-server", "hello.wsgi", "--server-root", &root];
    refused(&Express::new(&words).within(directory.path()).with_address().run(), &[1, 2], &[&root]);
    refused(&Express::new(&words).within(directory.path()).as_ordinary_user().with_address().run(), &[1, 2], &[&root]);
}

#[test]
fn root_must_name_a_user_that_exists() {
    if !is_root() {
        return cannot_run("root_must_name_a_user_that_exists", "only root can switch users");
    }
    let directory = directory();
    let root = directory.path().join("root").display().to_string();
    let start = |words: &[&str]| {
        let words: Vec<_> =
            ["start-server", "hello.wsgi", "--server-root", &root].into_iter().chain(words.iter().copied()).collect();
        Express::new(&words).within(directory.path()).run()
    };
    refused(&start(&[]), &[1, 2], &["--user"]);
    refused(&start(&["--user", "nosuchuser", "--group", ORDINARY_USER]), &[1, 2], &["nosuchuser"]);
}

#[test]
fn wrong_options_and_values_end_with_code_2_and_their_names() {
    let directory = directory();
    for (words, named) in [
        (&["--no-such-option"][..], &["--no-such-option"][..]),
        (&["--port", "eighty"], &["--port", "eighty"]),
        (&["--port", "99999"], &["--port", "99999"]),
        (&["--threads"], &["--threads"]),
        (&["--threads", "0"], &["--threads"]),
        (&["--processes", "-1"], &["--processes"]),
        (&["--url-alias", "/static"], &["--url-alias"]),
        (&["--log-level", "loud"], &["--log-level", "loud"]),
        (&["--application-type", "perl"], &["--application-type", "perl"]),
        (&["second.wsgi"], &["second.wsgi"]),
    ] {
        let words: Vec<_> = ["setup-server", "hello.wsgi"].into_iter().chain(words.iter().copied()).collect();
        refused(&Express::new(&words).within(directory.path()).run(), &[2], named);
    }
    refused(&Express::new(&["begin-server"]).run(), &[2], &["begin-server"]);
}
