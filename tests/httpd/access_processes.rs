//! The processes in which scripts decide who may come in: which these are, and that nobody comes in while they cannot
//! be asked.

use crate::access::{passwords, server, visit};
use harness::{Role, Site, eventually};
use std::time::Duration;

#[test]
fn where_no_python_may_be_in_apache_scripts_have_a_group_of_their_own() {
    const SCRIPT: &str = r#"
import os
def allow_access(environ, host):
    print("asked in", environ["mod_wsgi.process_group"], "as", os.geteuid(), file=environ["wsgi.errors"])
    return environ["QUERY_STRING"] == "open"
"#;
    let site = server()
        .conf("WSGIRestrictEmbedded On\n<Location />\nWSGIAccessScript {apps}/access.py\n</Location>")
        .app("access.py", SCRIPT)
        .start();
    site.log.expect(&["asked in", "WSGI0057: client denied"]);
    assert_eq!([site.get("/page.txt?open").status, site.get("/page.txt").status], [200, 403]);
    site.log.wait_for("asked in wsgi-access as ");
    let maps_python =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("libpython"));
    let census = site.census();
    assert!(census.iter().filter(|m| m.role == Role::Child).all(|m| !maps_python(m.pid)), "no Python in Apache");
    assert_eq!(site.log.records_with("of group 'wsgi-access' has started").len(), 1, "one process for the scripts");
    site.finish();
    // Also where only a `.htaccess` file names one, which may come at any time.
    let site = server().conf("WSGIRestrictEmbedded On").app("access.py", SCRIPT).start();
    site.log.expect(&["asked in", "WSGI0057: client denied"]);
    let script = site.root().join("apps/access.py").display().to_string();
    site.write("htdocs/.htaccess", &format!("WSGIAccessScript {script}\n"));
    assert_eq!([site.get("/page.txt?open").status, site.get("/page.txt").status], [200, 403]);
    site.log.wait_for("asked in wsgi-access as ");
    site.finish();
    // One that is configured is that group.
    let site = server()
        .conf("WSGIRestrictEmbedded On\nWSGIDaemonProcess wsgi-access processes=2")
        .conf("<Location />\nWSGIAccessScript {apps}/access.py\n</Location>")
        .app("access.py", SCRIPT)
        .start();
    site.log.expect(&["asked in"]);
    assert_eq!(site.get("/page.txt?open").status, 200);
    let started = || site.log.records_with("of group 'wsgi-access' has started").len();
    assert!(eventually(Duration::from_secs(20), || (started() == 2).then_some(())).is_some());
    site.finish();
}

#[test]
fn a_process_that_cannot_be_asked_refuses() {
    let guard = |place: &str| format!("<Location />\nWSGIAccessScript {{apps}}/access.py {place}\n</Location>");
    for (place, said) in [
        ("process-group=nowhere", "process group `nowhere` is not defined"),
        ("process-group=%{GLOBAL}", "WSGIRestrictEmbedded forbids embedded mode"),
        ("process-group=service", "process group `service` has threads=0"),
    ] {
        let site = server()
            .conf(&format!("WSGIRestrictEmbedded On\nWSGIDaemonProcess service threads=0\n{}", guard(place)))
            .conf("WSGIImportScript {apps}/service.py process-group=service application-group=%{GLOBAL}")
            .app("service.py", "import time\nwhile True:\n    time.sleep(1)\n")
            .app("access.py", "def allow_access(environ, host):\n    return True\n")
            .start();
        // What the configuration names wrongly is told at the start, too.
        site.log.expect(&["WSGI1100: …WSGIAccessScript names the process group `nowhere`"]);
        assert_eq!(site.get("/page.txt").status, 500, "{place}");
        assert!(site.log.wait_for(said).contains("WSGIAccessScript "), "{place}");
        site.finish();
    }
}

/// Lets everybody in, unless the query makes it do something else before.
const ODD: &str = r#"
import os, signal, time
def allow_access(environ, host):
    what = environ["QUERY_STRING"]
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleeps":
        time.sleep(4)
    if what == "spins":
        while True:
            pass
    return True

def check_password(environ, user, password):
    return allow_access(environ, "")
"#;

#[test]
fn a_process_that_dies_while_it_is_asked_lets_nobody_in() {
    let guard = "<Location />\nWSGIAccessScript {apps}/odd.py process-group=gate\n</Location>";
    let site = server().conf(guard).app("odd.py", ODD).start();
    site.log.expect(&["WSGI1307: …SIGKILL"]);
    assert_eq!(site.get("/page.txt").status, 200);
    let answer = site.get("/page.txt?dies");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_ne!(answer.text(), "a page");
    let record = site.log.records_with("WSGI1005: ").remove(0);
    assert!(record.contains("WSGIAccessScript ") && record.contains("closed the connection"), "{record}");
    let again = eventually(Duration::from_secs(20), || (site.get("/page.txt").status == 200).then_some(()));
    assert!(again.is_some(), "its successor answers: {}", site.log.text());
    site.finish();
    let site = server().conf(&passwords(" process-group=gate", "Require valid-user")).app("auth.py", ODD).start();
    site.log.expect(&["WSGI1307: …SIGKILL", "WSGI1005: "]);
    assert_eq!(visit(&site, "/page.txt?dies", "spy", "secret").0, 500, "Apache's own answer to an error of a provider");
    site.finish();
}

#[test]
fn a_process_that_does_not_answer_in_time_refuses() {
    let groups = "WSGIDaemonProcess silent threads=2 socket-timeout=1\nWSGIDaemonProcess late threads=2 request-timeout=1 interrupt-timeout=5";
    let guard = |path: &str, group: &str| {
        format!("<Location {path}>\nWSGIAccessScript {{apps}}/odd.py process-group={group}\n</Location>")
    };
    let site = server()
        .conf(groups)
        .conf(&guard("/page.txt", "silent"))
        .conf(&guard("/open.txt", "late"))
        .app("odd.py", ODD)
        .start();
    assert_eq!([site.get("/page.txt").status, site.get("/open.txt").status], [200, 200]);
    let answer = site.get("/page.txt?sleeps");
    assert_eq!((answer.status, answer.text() == "a page"), (503, false), "{answer:?}");
    let record = site.log.wait_for("WSGI1005: WSGIAccessScript ");
    assert!(record.contains("for as long as socket-timeout allows"), "{record}");
    let answer = site.get("/open.txt?spins");
    assert_eq!((answer.status, answer.text() == "open"), (503, false), "{answer:?}");
    site.log.wait_for("interrupted by RequestTimeout");
    assert_eq!(site.get("/open.txt").status, 200, "the process goes on");
    site.finish();
}
