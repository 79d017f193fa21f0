//! A panic in each hook, callback and phase of a request: it costs what it happened in, and nothing else. `make panics`
//! builds the product with the feature `panics`, by which a file that `MOD_WSGI_PANIC` names says where the next panic
//! happens, and names the directory of that build in `PANICS`.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

use harness::{Builder, Httpd, Log, MODES, Role, Scratch, Site, cannot_run, eventually, kill, product};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for a panic that no request brings about.
const SOON: Duration = Duration::from_secs(10);

/// An application that goes through every phase, and says so.
const APPLICATION: &str = r#"
import mod_wsgi

kept = []

class Body:
    def __init__(self, parts):
        self.parts = iter(parts)
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.parts)
    def close(self):
        pass

def application(environ, start_response):
    # What is left of a request that has ended, by a panic too, refuses everything.
    for old in kept:
        try:
            old.write("from the past\n")
        except RuntimeError:
            continue
        raise AssertionError("an ended request still has a log")
    kept[:] = [environ["wsgi.errors"]]
    environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    body = environ["wsgi.input"].read()
    mod_wsgi.request_data()["seen"] = True
    environ["wsgi.errors"].write("info of no interest\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body([b"whole ", b"answer", str(len(body)).encode()])
"#;

/// What [`APPLICATION`] answers to [`SENT`] bytes.
const ANSWER: &str = "whole answer70000";

/// Too much to ride with the request.
const SENT: usize = 70_000;

/// The product of the build with panics in it, in a directory of its own.
struct Place {
    scratch: Scratch,
}

impl Place {
    /// `None`, and a word about it, where there is no such build.
    fn new(case: &str) -> Option<Self> {
        let Some(build) = std::env::var_os("PANICS").map(PathBuf::from) else {
            cannot_run(case, "only `make panics` builds the product with panics in it");
            return None;
        };
        let scratch = Scratch::new();
        let (server, package) = (scratch.directory("mod_wsgi/server"), scratch.directory("mod_wsgi"));
        let module = product().module();
        let installed = module.parent().expect("the directory of the module");
        for name in ["mod_wsgi-supervisor", "__init__.py"] {
            fs::copy(installed.join(name), server.join(name)).expect(name);
        }
        fs::copy(build.join("libmod_wsgi.so"), server.join("mod_wsgi.so")).expect("the module");
        let installed = installed.parent().expect("the package");
        for name in ["__init__.py", "_daemon.py"] {
            fs::copy(installed.join(name), package.join(name)).expect(name);
        }
        fs::copy(build.join("lib_engine.so"), package.join("_engine.abi3.so")).expect("the engine");
        scratch.directory("order");
        scratch.set_mode("order", 0o777);
        Some(Self { scratch })
    }

    fn order(&self) -> PathBuf {
        self.scratch.path().join("order/place")
    }

    /// The next time that this place is reached, by whichever process, it panics.
    fn panic_in(&self, place: &str) {
        // Whole at once, and anybody's to take.
        let draft = self.scratch.write("draft", place);
        fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("its mode");
        fs::rename(draft, self.order()).expect("an order");
    }

    fn has_happened(&self) -> bool {
        !self.order().exists()
    }

    /// Lines that load this build: its engine is found beside the module, because the interpreter has none.
    fn module_config(&self) -> String {
        let module = self.scratch.path().join("mod_wsgi/server/mod_wsgi.so");
        let home = product().python("sys.base_prefix");
        format!("LoadModule wsgi_module {}\nWSGIPythonHome {home}", module.display())
    }

    /// A server with [`APPLICATION`] in both modes.
    fn server(&self, options: &str) -> Builder {
        let order = self.order().display().to_string();
        Httpd::both_modes(&format!("{options} env=MOD_WSGI_PANIC={order}"), APPLICATION)
            .module_config(&self.module_config())
            .env("MOD_WSGI_PANIC", &order)
            .expect_log(&["panic in ", "injected", "a whole response", "internal error in", "of no interest"])
    }
}

/// The status and text of an answer; 0 for one that breaks off.
fn ask(site: &Httpd, path: &str) -> (u16, String) {
    let answer = site.try_request("POST", path, &[], &vec![b'x'; SENT]);
    answer.map_or_else(|error| (0, error.to_string()), |answer| (answer.status, answer.text().to_owned()))
}

/// Places that every request of a mode passes, and what the client then sees of it at worst.
fn of_requests(mode: &str) -> Vec<&'static str> {
    let mut places = vec![
        "translate_name",
        "access_checker",
        "handler",
        "a request",
        "request: begins",
        "request: environ",
        "request: locked",
        "request: detached",
        "request: called",
        "request: content",
        "request: close",
        "request: conclusion",
        "mod_wsgi.Adapter",
        "mod_wsgi.Input",
        "mod_wsgi.Log",
        "mod_wsgi.Functions",
    ];
    if mode == "/embedded" {
        places.extend(["a piece of a response", "a flush", "a read of a request body"]);
    } else {
        places.push("a worker thread");
    }
    places
}

#[test]
fn a_panic_anywhere_in_a_request_costs_that_request_only() {
    let Some(place) = Place::new("panics in requests") else { return };
    let site = place.server("threads=1").start();
    for mode in MODES {
        assert_eq!(ask(&site, mode), (200, ANSWER.to_owned()), "{mode}: {}", site.log.text());
        for at in of_requests(mode) {
            place.panic_in(at);
            let (status, text) = ask(&site, mode);
            assert!(place.has_happened(), "{mode}: nothing passes {at:?}");
            assert!(matches!(status, 0 | 500 | 502), "{mode} {at}: {status} {text}");
            let record = site.log.records_with(&format!("injected into {at}"));
            assert_eq!(record.len(), 1, "{mode} {at}: one record: {record:#?}");
            assert!(record[0].contains("panic in "), "{mode} {at}: {record:#?}");
            fs::write(site.root().join("logs/error.log"), "").expect("an empty log");
            assert_eq!(ask(&site, mode), (200, ANSWER.to_owned()), "{mode} after {at}: {}", site.log.text());
        }
    }
    site.finish();
}

#[test]
fn a_panic_while_somebody_is_being_asked_for_lets_nobody_in() {
    let Some(place) = Place::new("panics in access control") else { return };
    let modules = ["auth_basic", "auth_digest"].map(|name| {
        format!("LoadModule {name}_module {}\n", harness::module(name).expect("a module of Apache's").display())
    });
    let script = "def check_password(environ, user, password):\n    return True\ndef get_realm_hash(environ, user, realm):\n    return None\n\
                  def groups_for_user(environ, user):\n    return ['staff']\n";
    let site = place
        .server("threads=1")
        .conf(&modules.concat())
        .conf("<Location /page.txt>\nAuthType Basic\nAuthName test\nAuthBasicProvider wsgi\nRequire wsgi-group staff")
        .conf("WSGIAuthUserScript {apps}/auth.py\nWSGIAuthGroupScript {apps}/auth.py process-group=site\n</Location>")
        .app("auth.py", script)
        .file("htdocs/page.txt", "a page")
        .start();
    let visit = || site.request("GET", "/page.txt", &[("Authorization", &harness::basic("spy", "x"))], b"").status;
    assert_eq!(visit(), 200, "{}", site.log.text());
    for at in ["check_password", "check_authorization", "access_checker", "a request", "request: begins"] {
        place.panic_in(at);
        assert_eq!(visit(), 500, "{at}");
        assert!(place.has_happened(), "nothing passes {at:?}");
        assert_eq!(visit(), 200, "after {at}: {}", site.log.text());
    }
    site.finish();
}

/// A panic while Apache starts: it does not start, or starts without what has panicked, and never crashes.
#[test]
fn a_panic_while_apache_reads_its_configuration_is_told_and_crashes_nothing() {
    let Some(place) = Place::new("panics at the start") else { return };
    for at in ["pre_config", "check_config", "post_config", "a directive"] {
        place.panic_in(at);
        let done = place.server("").fails_to_start();
        assert!(place.has_happened(), "nothing passes {at:?}");
        assert!(done.code.is_some_and(|code| code != 0), "{at}: {:?}: {}", done.code, done.text);
        assert!(done.text.contains("panic"), "{at}: {}", done.text);
    }
    // Without the record of one place everything there has its defaults; Apache's own child goes on.
    for at in [
        "create_server_config",
        "create_dir_config",
        "merge_dir_config",
        "merge_server_config",
        "child_init",
        "child_status",
    ] {
        place.panic_in(at);
        // The second host has a record of its own, and one for all its directories; both are merged with those of the
        // first, which has them too.
        let conf = "WSGIScriptReloading On\n\
                    <VirtualHost *>\nServerName other\nWSGIScriptReloading On\nWSGIApplicationGroup %{GLOBAL}\n</VirtualHost>";
        let site = place.server("").conf(conf).start();
        assert!(eventually(SOON, || place.has_happened().then_some(())).is_some(), "nothing passes {at:?}");
        // Before the log is open, records go to standard error.
        let console = Log::new(site.root().join("logs/console.log"));
        let record = format!("panic in {at}: injected into {at}");
        site.log.expect(&["injected into"]);
        let said = || [&console, &site.log].iter().any(|log| log.text().contains(&record)).then_some(());
        assert!(eventually(SOON, said).is_some(), "{at}: {}", site.log.text());
        for mode in MODES {
            assert_eq!(ask(&site, mode), (200, ANSWER.to_owned()), "{mode} after {at}: {}", site.log.text());
        }
        site.finish();
    }
}

#[test]
fn a_panic_outside_of_requests_costs_what_it_happened_in() {
    let Some(place) = Place::new("panics outside of requests") else { return };
    let mut site =
        place.server("server-metrics=On").conf("<Location /status>\nSetHandler server-status\n</Location>").start();
    let is_well = |site: &Httpd, after: &str| {
        for mode in MODES {
            assert_eq!(ask(site, mode), (200, ANSWER.to_owned()), "{mode} after {after}: {}", site.log.text());
        }
    };
    is_well(&site, "nothing");
    place.panic_in("status_hook");
    let _ = site.get("/status");
    assert!(place.has_happened());
    assert_eq!(site.get("/status").status, 200);
    is_well(&site, "status_hook");

    place.panic_in("supervisor watch");
    let supervisor = site.census().into_iter().find(|member| member.role == Role::Supervisor).expect("a supervisor");
    kill(supervisor.pid, libc::SIGKILL);
    assert!(eventually(SOON, || place.has_happened().then_some(())).is_some(), "nothing passes the watch");
    is_well(&site, "the supervisor's watch");
    // Nobody has started another supervisor, which would have removed the sockets of the one that was killed.
    for file in fs::read_dir(site.root().join("run")).expect("a directory").flatten() {
        let _ = file.file_name().to_string_lossy().ends_with(".sock").then(|| fs::remove_file(file.path()));
    }

    for at in ["child_stopping", "pool cleanup", "end"] {
        let mut site = place.server("").start();
        is_well(&site, "a start");
        place.panic_in(at);
        assert!(site.stop().is_some(), "it stops");
        assert!(
            eventually(SOON, || place.has_happened().then_some(())).is_some(),
            "nothing passes {at:?}: {}",
            site.log.text()
        );
        // Whom the parent has not told to stop ends when it sees that the parent is gone.
        let names =
            || fs::read_dir(site.root().join("run")).expect("a directory").flatten().map(|file| file.file_name());
        let gone = || names().all(|name| !name.to_string_lossy().ends_with(".sock")).then_some(());
        assert!(eventually(SOON, gone).is_some(), "{at}: {:?}", Vec::from_iter(names()));
    }
    site.stop();
}
