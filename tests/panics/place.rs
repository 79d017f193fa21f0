//! The product with panics in it, servers of it, and what a panic may cost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use harness::{Builder, Httpd, Log, Scratch, Site, cannot_run, eventually, product};

/// Longest wait for a panic that no request brings about.
pub const SOON: Duration = Duration::from_secs(10);

/// An application that goes through every phase, and says so. The request may bring Python code along.
const APPLICATION: &str = r#"
import gc, io, logging, sys, threading
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
    names = {**globals(), "environ": environ, "start_response": start_response, "response": None}
    exec(environ.get("HTTP_X_CODE", ""), names)
    if not names["response"]:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
    body = environ["wsgi.input"].read()
    mod_wsgi.request_data()["seen"] = True
    environ["wsgi.errors"].write("info of no interest\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return names["response"] or Body([b"whole ", b"answer", str(len(body)).encode()])
"#;

/// What [`APPLICATION`] answers to [`SENT`] bytes.
pub const ANSWER: &str = "whole answer70000";

/// Too much to ride with the request.
const SENT: usize = 70_000;

/// What a client may see where a panic costs its request: an error of Apache's, or a response that breaks off (0).
pub const LOST: &[u16] = &[0, 500, 502];

/// What a client may see where it costs the request nothing.
pub const KEPT: &[u16] = &[200];

/// The product of the build with panics in it, in a directory of its own.
pub struct Place {
    pub scratch: Scratch,
}

impl Place {
    /// `None`, and a word about it, where there is no such build.
    pub fn new(case: &str) -> Option<Self> {
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
    pub fn panic_in(&self, place: &str) {
        // Whole at once, and anybody's to take.
        let draft = self.scratch.write("draft", place);
        fs::set_permissions(&draft, PermissionsExt::from_mode(0o666)).expect("its mode");
        fs::rename(draft, self.order()).expect("an order");
    }

    pub fn has_happened(&self) -> bool {
        !self.order().exists()
    }

    /// Waits for the panic that has been ordered. `at`: its place.
    pub fn happens(&self, at: &str, log: &Log) {
        let happened = eventually(SOON, || self.has_happened().then_some(()));
        assert!(happened.is_some(), "nothing passes {at:?}: {}", log.text());
    }

    /// Waits for the panic that has been ordered, and for its one record; then empties the log.
    pub fn is_told(&self, at: &str, site: &Httpd) {
        self.happens(at, &site.log);
        let records = site.log.records_with(&format!("injected into {at} at "));
        assert_eq!(records.len(), 1, "{at}: one record: {records:#?}");
        assert!(records[0].contains("WSGI1400: panic in "), "{at}: {records:#?}");
        fs::write(site.root().join("logs/error.log"), "").expect("an empty log");
    }

    /// Lines that load this build: its engine is found beside the module, because the interpreter has none.
    pub fn module_config(&self) -> String {
        let module = self.scratch.path().join("mod_wsgi/server/mod_wsgi.so");
        let home = product().python("sys.base_prefix");
        format!("LoadModule wsgi_module {}\nWSGIPythonHome {home}", module.display())
    }

    /// The option of a process group by which its processes panic where they are told to.
    pub fn option(&self) -> String {
        format!("env=MOD_WSGI_PANIC={}", self.order().display())
    }

    /// A server of this build.
    pub fn built(&self, server: Builder) -> Builder {
        server
            .module_config(&self.module_config())
            .env("MOD_WSGI_PANIC", &self.order().display().to_string())
            .expect_log(&["panic in ", "injected", "a whole response", "internal error in", "of no interest"])
    }

    /// A server with [`APPLICATION`] in both modes.
    pub fn server(&self, options: &str) -> Builder {
        self.built(Httpd::both_modes(&format!("{options} {}", self.option()), APPLICATION))
    }

    /// Has a place panic in the course of a request with this code, and looks at what that has cost.
    pub fn costs(&self, site: &Httpd, mode: &str, at: &str, code: &str, expected: &[u16]) {
        self.panic_in(at);
        let (status, text) = ask(site, mode, code);
        self.happens(at, &site.log);
        assert!(expected.contains(&status), "{mode} {at}: {status} {text}: {}", site.log.text());
        self.is_told(at, site);
        is_well(site, mode, at);
    }
}

/// The status and text of an answer to a request with this code; 0 for one that breaks off.
pub fn ask(site: &Httpd, path: &str, code: &str) -> (u16, String) {
    let answer = site.try_request("POST", path, &[("X-Code", code)], &vec![b'x'; SENT]);
    answer.map_or_else(|error| (0, error.to_string()), |answer| (answer.status, answer.text()))
}

/// Whether requests get what they should.
pub fn is_well(site: &Httpd, mode: &str, after: &str) {
    assert_eq!(ask(site, mode, ""), (200, ANSWER.to_owned()), "{mode} after {after}: {}", site.log.text());
}
