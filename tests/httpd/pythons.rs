//! Which Python runs an application.

use harness::{Httpd, PROBE, Site, cannot_run, product};
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
fn a_python_home_without_a_python_is_refused_or_logged_by_name() {
    let (accepted, text) = Httpd::builder().conf("WSGIDaemonProcess site python-home=/no/such/environment").check();
    assert!(!accepted && text.contains("/no/such/environment") && text.contains("python-home"), "{text}");
}

/// `MOD_WSGI_TEST_PYTHONS`: environments of other Python versions with this project installed, separated by colons.
#[test]
fn several_python_versions_serve_side_by_side_by_python_home_alone() {
    const CASE: &str = "several_python_versions_serve_side_by_side_by_python_home_alone";
    let environments = std::env::var("MOD_WSGI_TEST_PYTHONS").unwrap_or_default();
    let homes: Vec<PathBuf> = environments.split(':').filter(|home| !home.is_empty()).map(PathBuf::from).collect();
    if homes.is_empty() {
        return cannot_run(CASE, "MOD_WSGI_TEST_PYTHONS names no environments of other Python versions");
    }
    let mut builder = Httpd::builder().app("probe.wsgi", PROBE);
    for (number, home) in homes.iter().enumerate() {
        builder = builder.conf(&format!("WSGIDaemonProcess g{number} python-home={}", home.display()));
        builder = builder.conf(&format!("WSGIScriptAlias /{number} {{apps}}/probe.wsgi process-group=g{number}"));
    }
    let site = builder.conf("WSGIDaemonProcess own\nWSGIScriptAlias /own {apps}/probe.wsgi process-group=own").start();
    for (number, home) in homes.iter().enumerate() {
        let mount = format!("/{number}");
        assert_eq!(site.ask_at(&mount, VERSION), version(home), "{}", home.display());
        assert_eq!(site.ask_at(&mount, "__import__('sys').prefix"), home.display().to_string());
    }
    assert_eq!(site.ask_at("/own", VERSION), product().python("'%d.%d' % sys.version_info[:2]"));
    site.finish();
}

fn version(home: &Path) -> String {
    let script = format!("print({VERSION})");
    let done = Command::new(home.join("bin/python")).args(["-c", &script]).output().expect("its python runs");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
