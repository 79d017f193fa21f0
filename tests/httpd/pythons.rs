//! Which Python runs an application.

use harness::{Httpd, ORDINARY_USER, PROBE, Scratch, Site, as_user, cannot_run, product, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "'%d.%d' % __import__('sys').version_info[:2]";

#[test]
fn an_application_runs_in_the_environment_that_python_home_names() {
    let site = Httpd::builder()
        .conf(&format!("WSGIDaemonProcess site python-home={}", product().python("sys.prefix")))
        .conf("WSGIScriptAlias / {apps}/probe.wsgi process-group=site")
        .app("probe.wsgi", PROBE)
        .start();
    assert_eq!(site.ask("__import__('sys').prefix"), product().python("sys.prefix"));
    site.finish();
}

#[test]
fn python_home_of_the_server_is_the_default_of_its_groups() {
    let site = Httpd::probe("");
    assert_eq!(site.ask("__import__('sys').prefix"), product().python("sys.prefix"));
    site.finish();
}

#[test]
fn a_python_home_that_is_not_there_fails_its_own_group_only_and_is_named_in_the_log() {
    let site = Httpd::builder()
        .conf("WSGIDaemonProcess good\nWSGIDaemonProcess bad python-home={root}/no/such/environment")
        .conf("WSGIScriptAlias /good {apps}/probe.wsgi process-group=good")
        .conf("WSGIScriptAlias /bad {apps}/probe.wsgi process-group=bad")
        .app("probe.wsgi", PROBE)
        .start();
    site.log.expect(&["WSGI1013: the processes of the group fail when they start"]);
    assert_eq!(site.ask_at("/good", "1"), 1);
    site.log.wait_for("/no/such/environment");
    let refused = site.get("/bad?1").status;
    assert!((500..=504).contains(&refused), "{refused}");
    site.finish();
}

#[test]
fn several_python_versions_serve_side_by_side_by_python_home_alone() {
    let others = other_pythons();
    if others.is_empty() {
        let why = "no other Python is on PATH that the daemons may run; MOD_WSGI_TEST_PYTHONS may name some, separated by colons";
        return cannot_run("several_python_versions_serve_side_by_side_by_python_home_alone", why);
    }
    let mut builder = Httpd::builder().app("probe.wsgi", PROBE);
    builder = builder.conf("WSGIDaemonProcess own\nWSGIScriptAlias /own {apps}/probe.wsgi process-group=own");
    let scratch = Scratch::new();
    for (version, python) in &others {
        let home = scratch.path().join(version);
        let made = run(Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&home), scratch.path());
        assert_eq!(made.code, Some(0), "{}: {}", python.display(), made.text);
        builder = builder.conf(&format!("WSGIDaemonProcess g{version} python-home={}", home.display()));
        builder = builder.conf(&format!("WSGIScriptAlias /{version} {{apps}}/probe.wsgi process-group=g{version}"));
    }
    let site = builder.start();
    for version in others.keys() {
        assert_eq!(site.ask_at(&format!("/{version}"), VERSION), *version);
        let home = scratch.path().join(version).display().to_string();
        assert_eq!(site.ask_at(&format!("/{version}"), "__import__('sys').prefix"), home);
    }
    assert_eq!(site.ask_at("/own", VERSION), own_version());
    site.finish();
}

#[test]
fn a_free_threaded_python_is_refused_with_the_cure() {
    let scratch = Scratch::new();
    let home = scratch.path().join("free");
    let python = product().python("sys.executable");
    let made = run(Command::new(&python).args(["-m", "venv", "--without-pip"]).arg(&home), scratch.path());
    assert_eq!(made.code, Some(0), "{}", made.text);
    // Such a build does not find the engine, whose file name says that it is for the stable ABI.
    let directory = home.join(format!("lib/python{}/site-packages", own_version()));
    let pretend = "import sys, sysconfig\n\
                   sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1\n\
                   class Finder:\n    def find_spec(name, path, target=None):\n        if name == 'mod_wsgi._engine':\n            raise ImportError(name)\n\
                   sys.meta_path.insert(0, Finder)\n";
    std::fs::write(directory.join("pretend.py"), pretend).unwrap();
    std::fs::write(directory.join("pretend.pth"), "import pretend\n").unwrap();
    let site = Httpd::builder()
        .conf(&format!("WSGIDaemonProcess g python-home={}", home.display()))
        .conf("WSGIScriptAlias / {apps}/probe.wsgi process-group=g")
        .app("probe.wsgi", PROBE)
        .start();
    site.log.expect(&["WSGI1306: …failed at start (exit code 3)"]);
    site.log.wait_for("is a free-threaded build");
    site.finish();
}

/// One interpreter for each version, other than the product's own, that the daemons' user may run.
pub(crate) fn other_pythons() -> BTreeMap<String, PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/find-pythons");
    let said = run(&mut Command::new(script), Path::new("/")).text;
    let pythons = said.lines().filter_map(|line| Some(PathBuf::from(line.split_once(' ')?.1)));
    let versions = pythons.filter_map(|python| Some((version(&python)?, python)));
    versions.filter(|(version, _)| *version != own_version()).collect()
}

/// The version of an interpreter, if it is there and the daemons' user may run it.
fn version(python: &Path) -> Option<String> {
    let script = format!("import ssl, venv; print({VERSION})");
    let done = as_user(Some(ORDINARY_USER), python).args(["-c", &script]).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn own_version() -> String {
    product().python("'%d.%d' % sys.version_info[:2]")
}
