//! An application is tried while Apache starts, and one that cannot be loaded is never served.

use harness::{Express, HELLO, Scratch, Site};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// A module that can be imported by nobody who is alone in it.
const MEETING: &str = "import os, time\n\
    here = os.path.join(os.path.dirname(__file__), 'here')\n\
    open(os.path.join(here, str(os.getpid())), 'w').close()\n\
    end = time.monotonic() + 60\n\
    while len(os.listdir(here)) < 2:\n    \
        time.sleep(0.01)\n    \
        assert time.monotonic() < end, 'nobody else came'\n";

/// A directory that any user may write to, with a module in it.
fn directory(name: &str, text: &str) -> Scratch {
    let directory = Scratch::new();
    directory.write(name, text);
    directory.write("here/.keep", "");
    fs::remove_file(directory.path().join("here/.keep")).expect("removed");
    fs::set_permissions(directory.path().join("here"), Permissions::from_mode(0o777)).expect("the owner may");
    directory
}

#[test]
fn an_application_is_tried_while_its_process_loads_it() {
    let directory = directory("meeting.py", &format!("{MEETING}{HELLO}"));
    let mut server =
        Express::new(&["start-server", "meeting:application"]).within(directory.path()).with_place().start_as_it_is();
    assert_eq!(server.get("/").text(), "hello");
    let banner = format!("http://127.0.0.1:{}/", server.port());
    assert!(server.console.text().contains(&banner), "{}", server.console.text());
    let processes = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).expect("children");
    for child in processes.split_whitespace() {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(!stat.contains(") Z "), "the judge has been waited for: {stat}");
    }
    let restarted = server.server_root().join("apachectl");
    let done = std::process::Command::new(restarted).arg("graceful").status().expect("it runs");
    assert!(done.success() && server.get("/").text() == "hello", "a restart waits for no judge");
    let log = fs::read_to_string(server.server_root().join("error_log")).expect("a log");
    assert!(!log.contains("long lost child"), "{log}");
    assert!(server.stop(libc::SIGTERM).is_some_and(|status| status.success()));
}

#[test]
fn one_that_cannot_be_loaded_is_told_once_and_ends_the_server_before_it_serves() {
    let directory = directory("broken.py", &format!("{MEETING}import no_such_module\n"));
    let done = Express::new(&["start-server", "broken:application"]).within(directory.path()).with_place().run();
    let text = &done.text;
    assert_eq!(done.code, Some(1), "{text}");
    assert_eq!(text.matches("Traceback").count(), 1, "{text}");
    assert!(text.contains("pip install no_such_module") && !text.contains("http://127.0.0.1"), "no banner: {text}");
}
