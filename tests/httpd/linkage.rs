//! The Apache half has no Python in it.

use harness::product;
use std::process::Command;

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
    let module = product().module();
    let done = Command::new("nm").args(["--dynamic", "--undefined-only"]).arg(&module).output().expect("nm runs");
    let symbols = String::from_utf8_lossy(&done.stdout).into_owned();
    let python: Vec<_> =
        symbols.split_ascii_whitespace().filter(|name| name.starts_with("Py") || name.starts_with("_Py")).collect();
    assert!(symbols.contains("ap_"), "{}: no httpd symbol either", module.display());
    assert!(python.is_empty(), "{python:?}");
}
