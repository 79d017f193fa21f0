//! The Apache half has no Python in it.

use std::process::Command;

use harness::{Httpd, product};

/// The module's symbols that others have to define.
fn undefined() -> Vec<String> {
    let module = product().module();
    let done = Command::new("nm").args(["--dynamic", "--undefined-only"]).arg(&module).output().expect("nm runs");
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.split_ascii_whitespace().last());
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// What Apache's headers tell of its interface, by the minor module magic number: what came with it.
fn history() -> Vec<(u32, String)> {
    let done = Command::new(apxs()).args(["-q", "INCLUDEDIR"]).output().expect("apxs runs");
    let directory = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    let header = std::fs::read_to_string(format!("{directory}/ap_mmn.h")).expect("ap_mmn.h");
    let mut found: Vec<(u32, String)> = Vec::new();
    for line in header.lines().filter_map(|line| line.strip_prefix(" * ")) {
        match line.strip_prefix("20120211.").and_then(|rest| rest.split_once(' ')) {
            Some((minor, text)) => found.push((minor.parse().expect("a number"), text.to_owned())),
            None if line.starts_with("    ") => {
                if let Some((_, text)) = found.last_mut() {
                    text.push_str(line);
                }
            }
            None => {}
        }
    }
    found
}

fn apxs() -> String {
    std::env::var("APXS").unwrap_or_else(|_| {
        let is_there = |name: &&str| Command::new(name).args(["-q", "INCLUDEDIR"]).output().is_ok();
        ["apxs", "apxs2"].into_iter().find(is_there).expect("apxs").to_owned()
    })
}

#[test]
fn the_apache_module_links_no_libpython() {
    let module = product().module();
    let done = Command::new("ldd").arg(&module).output().expect("ldd runs");
    let libraries = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(libraries.contains("libc.so"), "{}: {libraries}", module.display());
    assert!(!libraries.contains("libpython"), "{}: {libraries}", module.display());
}

#[test]
fn the_apache_module_needs_no_python_symbol() {
    let symbols = undefined();
    let is_python = |name: &&String| name.starts_with("Py") || name.starts_with("_Py");
    let python: Vec<_> = symbols.iter().filter(is_python).collect();
    assert!(symbols.iter().any(|name| name.starts_with("ap_")), "no httpd symbol either: {symbols:?}");
    assert!(python.is_empty(), "{python:?}");
}

/// The minor module magic number of 2.4.41, the oldest httpd that may load the module (`src/policy/abi.rs`).
const OLDEST: u32 = 88;

#[test]
fn the_apache_module_needs_nothing_that_httpd_2_4_41_does_not_have() {
    let history = history();
    assert!(history.iter().any(|(minor, text)| *minor == OLDEST && text.contains("2.4.4")), "{history:?}");
    let later: Vec<_> = history.iter().filter(|(minor, _)| *minor > OLDEST).collect();
    assert!(later.iter().any(|(_, text)| text.contains("child_stopping")), "{later:?}");
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    };
    for name in undefined().iter().filter(|name| name.starts_with("ap_") || name.starts_with("apr_")) {
        let came = later.iter().find(|(_, text)| words(text).contains(name));
        assert!(came.is_none(), "{name} came later: {came:?}");
    }
}

#[test]
fn the_log_tells_which_httpd_the_module_was_built_for() {
    let site = Httpd::site("", harness::HELLO).log_level("info").start();
    let log = site.log.text();
    let told = log.lines().find(|line| line.contains("built with the headers of Apache 2.4.")).expect("a record");
    assert!(told.contains("(20120211:") && told.contains("this is Apache 2.4."), "{told}");
    site.finish();
}
