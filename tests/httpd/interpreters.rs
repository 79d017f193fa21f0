//! Which interpreter an application runs in, and what is said about interpreters.

use harness::{Httpd, PROBE, Scratch, Site, run};
use serde_json::json;
use std::process::Command;

#[test]
fn locks_that_python_cannot_give_are_a_warning_and_nothing_else() {
    let site = Httpd::site("", PROBE).conf("WSGIPerInterpreterGIL On\nWSGIFreeThreading On").start();
    site.log.expect(&["WSGI0198: WSGIPerInterpreterGIL On has no effect"]);
    assert_eq!(site.ask("1 + 1"), 2);
    let later = site.ask("sys.version_info >= (3, 12)") == true;
    site.log.wait_for("WSGI0200: WSGIFreeThreading On has no effect: this Python");
    assert_eq!(site.log.text().contains("WSGI0198: "), !later);
    site.finish();
}

#[test]
fn free_threading_of_a_single_application_group_is_ignored_with_a_warning() {
    let section = "<WSGIInterpreterOptions application-group=one>\nWSGIFreeThreading On\n</WSGIInterpreterOptions>";
    let site = Httpd::site("", PROBE).conf(section).start();
    site.log.wait_for("WSGI0201: WSGIFreeThreading in the section for application-group=one is ignored");
    assert_eq!(site.ask("1 + 1"), 2);
    assert!(!site.log.text().contains("WSGI0200: "));
    site.finish();
}

#[test]
fn a_switch_interval_belongs_to_the_process_not_to_one_of_its_interpreters() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess g switch-interval=0.5\nWSGIProcessGroup g\nWSGISwitchInterval 0.25")
        .conf("<WSGIInterpreterOptions application-group=late>\nWSGISwitchInterval 0.125\n</WSGIInterpreterOptions>")
        .conf("WSGIScriptAlias /main {apps}/probe.wsgi application-group=%{GLOBAL}")
        .conf("WSGIScriptAlias /late {apps}/probe.wsgi application-group=late")
        .app("probe.wsgi", PROBE)
        .start();
    for mount in ["/main", "/late", "/main"] {
        assert_eq!(site.ask_at(mount, "sys.getswitchinterval()"), 0.5, "{mount}");
    }
    site.log.wait_for("WSGI0199: WSGISwitchInterval has no effect on the sub-interpreter 'late'");
    site.finish();
}

/// A process that has the script at `/named` in a sub-interpreter and at `/main` in the main interpreter.
fn in_two_interpreters(script: &str) -> Httpd {
    Httpd::builder()
        .conf("WSGIDaemonProcess g\nWSGIProcessGroup g")
        .conf(
            "WSGIScriptAlias /named {apps}/app.wsgi\nWSGIScriptAlias /main {apps}/app.wsgi application-group=%{GLOBAL}",
        )
        .app("app.wsgi", script)
        .start()
}

#[test]
fn a_failure_that_only_sub_interpreters_have_is_logged_with_its_cure_once() {
    let script = format!(
        "import sys\nif __import__('mod_wsgi').application_group:\n    raise ImportError('Interpreter change detected - x')\n{PROBE}"
    );
    let site = in_two_interpreters(&script);
    site.log.expect(&["WSGI0109: ", "WSGI1203: "]);
    for _ in 0..2 {
        assert_eq!(site.get("/named?1").status, 500);
    }
    assert_eq!(site.ask_at("/main", "1"), 1);
    assert_eq!(site.log.text().matches("application-group=%{GLOBAL}").count(), 1, "{}", site.log.text());
    site.finish();
}

#[test]
fn a_failure_of_the_main_interpreter_because_of_another_one_is_logged_with_its_cure() {
    let script = format!(
        "import mod_wsgi\nif not mod_wsgi.application_group:\n    raise ImportError('cannot load module more than once per process')\n{PROBE}"
    );
    let site = in_two_interpreters(&script);
    site.log.expect(&["WSGI0109: …cannot be loaded into", "WSGI1210: …give '"]);
    assert_eq!(site.ask_at("/named", "1"), 1);
    assert_eq!(site.get("/main?1").status, 500);
    site.log.wait_for(
        "WSGI1210: …app.wsgi' a process group of its own, or run the other applications with application-group=%{GLOBAL}, too.",
    );
    site.finish();
}

/// Whether the application runs in the main interpreter; `_interpreters` and its older name know.
const IS_MAIN: &str = "(lambda i: int(getattr(i.get_current(), 'id', i.get_current()[0] if isinstance(i.get_current(), tuple) else i.get_current())) == 0)\
                       (__import__('_interpreters' if sys.version_info >= (3, 13) else '_xxsubinterpreters'))";

const NAMES: &str = "[environ['mod_wsgi.application_group'], __import__('mod_wsgi').application_group]";

#[test]
fn the_only_application_of_a_process_group_runs_in_the_main_interpreter_under_its_own_name() {
    for alias in ["", "application-group=own", "application-group=%{SERVER}"] {
        let site = Httpd::builder()
            .conf(&format!("WSGIDaemonProcess g\nWSGIScriptAlias /app {{apps}}/probe.wsgi process-group=g {alias}"))
            .app("probe.wsgi", PROBE)
            .start();
        assert_eq!(site.ask_at("/app", IS_MAIN), true, "{alias}");
        let names = site.ask_at("/app", NAMES);
        assert_eq!(names[0], names[1]);
        assert_eq!(names[0] == "own", alias.contains("own"), "{names}");
        site.finish();
    }
}

#[test]
fn several_applications_of_a_process_group_have_interpreters_of_their_own() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess g\nWSGIProcessGroup g")
        .conf("WSGIScriptAlias /one {apps}/probe.wsgi\nWSGIScriptAlias /two {apps}/probe.wsgi")
        .app("probe.wsgi", PROBE)
        .start();
    for mount in ["/one", "/two"] {
        assert_eq!(site.ask_at(mount, IS_MAIN), false, "{mount}");
    }
    site.finish();
}

#[test]
fn the_main_interpreter_can_be_kept_for_those_who_ask_for_it() {
    let site = Httpd::builder()
        .conf("WSGISingleInterpreter Off\nWSGIDaemonProcess g\nWSGIScriptAlias /app {apps}/probe.wsgi process-group=g")
        .app("probe.wsgi", PROBE)
        .start();
    assert_eq!(site.ask_at("/app", IS_MAIN), false);
    site.finish();
}

/// A loop that asks whether the main thread lives, as libraries with background threads have it.
const BACKGROUND: &str = r#"
import json, threading, time
main = threading.main_thread()
beats = []

def work():
    while threading.main_thread().is_alive():
        beats.append(1)
        time.sleep(0.01)

threading.Thread(target=work, daemon=True).start()

def application(environ, start_response):
    before = len(beats)
    time.sleep(0.1)
    value = [main.is_alive(), len(beats) > before, main is threading.main_thread(), threading.current_thread() is main]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]
"#;

#[test]
fn the_main_thread_of_a_sub_interpreter_lives_as_long_as_it_does() {
    let scratch = Scratch::new();
    let mut builder = Httpd::builder().app("site.wsgi", BACKGROUND).app("late.wsgi", BACKGROUND);
    builder = builder.conf("WSGISingleInterpreter Off\nWSGIDaemonProcess own threads=2");
    let mut homes = vec![("own".to_owned(), String::new())];
    for (version, python) in crate::pythons::other_pythons() {
        let home = scratch.path().join(&version);
        let made = run(Command::new(&python).args(["-m", "venv", "--without-pip"]).arg(&home), scratch.path());
        assert_eq!(made.code, Some(0), "{}: {}", python.display(), made.text);
        builder = builder.conf(&format!("WSGIDaemonProcess g{version} threads=2 python-home={}", home.display()));
        homes.push((format!("g{version}"), version));
    }
    // Loaded before the process is ready, and made by a worker for the first request.
    for (group, _) in &homes {
        builder = builder
            .conf(&format!(
                "WSGIScriptAlias /{group}/early {{apps}}/site.wsgi process-group={group} application-group=a"
            ))
            .conf(&format!(
                "WSGIScriptAlias /{group}/late {{apps}}/late.wsgi process-group={group} application-group=%{{RESOURCE}}"
            ));
    }
    builder = builder.conf("WSGIScriptAlias /embedded {apps}/site.wsgi application-group=a");
    let site = builder.start();
    let mut paths = vec!["/embedded".to_owned()];
    paths.extend(homes.iter().flat_map(|(group, _)| [format!("/{group}/early"), format!("/{group}/late")]));
    for path in paths {
        for _ in 0..3 {
            assert_eq!(site.get(&path).json(), json!([true, true, true, false]), "{path}: {}", site.log.text());
        }
    }
    site.finish();
}
