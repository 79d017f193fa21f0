//! The shape of the tree: what may be where. Whoever breaks one of these rules changes the architecture, not a detail.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod boundaries;
mod comments;
mod links;
mod rooms;
mod safety;
mod twins;
mod version;
mod walks;
mod width;

use harness::repository;
use std::fs;
use std::path::{Path, PathBuf};

/// The word that is looked for, in two parts so that this file does not have it.
const UNSAFE_WORD: &str = concat!("un", "safe");

/// The directories whose code may say it.
const UNSAFE_CODE: [&str; 9] = [
    "src/module",
    "src/httpd",
    "src/embedded",
    "engine/src/entry",
    "engine/src/ffi",
    "supervisor/src/sys",
    "unix/src/fork",
    "unix/src/sys",
    "tests/harness",
];

/// The directories with Rust code of the workspace.
const CODE: [&str; 12] = [
    "src",
    "wire",
    "unix",
    "websocket",
    "engine",
    "supervisor",
    "apxs",
    "httpd-conf",
    "express",
    "tests",
    "benches",
    "fuzz",
];

/// Longest file: one that is longer holds more than one concept.
const LONGEST: usize = 400;

/// Longest file of tests, which are a list.
const LONGEST_OF_TESTS: usize = 600;

/// Every source file with these extensions below the directories, by its path in the repository.
fn sources(directories: &[&str], extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = directories.iter().map(|directory| repository().join(directory)).collect();
    while let Some(directory) = waiting.pop() {
        for path in fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
                let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                found.push((path.strip_prefix(repository()).expect("in the repository").to_path_buf(), text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {directories:?}");
    found
}

fn rust(directories: &[&str]) -> Vec<(PathBuf, String)> {
    sources(directories, &["rs"])
}

/// Whether a line of code, not of a comment, has this word.
fn says(text: &str, word: &str) -> bool {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|found| found == word)
}

fn offenders(files: Vec<(PathBuf, String)>, is_wrong: impl Fn(&Path, &str) -> bool) -> Vec<PathBuf> {
    files.into_iter().filter(|(path, text)| is_wrong(path, text)).map(|(path, _)| path).collect()
}

#[test]
fn unsafe_code_is_in_few_named_directories() {
    // The type of a pointer to a C function says the word without any such code.
    let pointer = format!("{UNSAFE_WORD} extern \"C\" fn(");
    let wrong = offenders(rust(&CODE), |path, text| {
        says(&text.replace(&pointer, ""), UNSAFE_WORD)
            && !UNSAFE_CODE.iter().any(|directory| path.starts_with(directory))
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_apache_half_knows_no_python_and_the_engine_no_httpd() {
    let python = offenders(rust(&["src", "supervisor"]), |_, text| {
        ["pyo3", "pyo3_ffi", "PyObject"].iter().any(|word| says(text, word))
    });
    assert!(python.is_empty(), "{python:?}");
    let httpd = offenders(rust(&["engine/src"]), |_, text| {
        ["apr_pool_t", "apr_table_t", "server_rec", "ap_log_rerror"].iter().any(|word| says(text, word))
    });
    assert!(httpd.is_empty(), "{httpd:?}");
}

#[test]
fn the_wire_does_no_input_or_output() {
    let wrong = offenders(rust(&["wire/src"]), |_, text| {
        ["UnixStream", "TcpStream", "fs", "libc"].iter().any(|word| says(text, word))
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_oldest_supported_rust_has_what_is_used() {
    // Let chains came with 1.88; of the standard library clippy knows (`msrv` in clippy.toml).
    let wrong = offenders(rust(&CODE), |_, text| text.contains(concat!("&& ", "let ")));
    assert!(wrong.is_empty(), "let chains, which the rust-version in Cargo.toml does not have: {wrong:?}");
}

#[test]
fn no_file_is_too_long() {
    let mut directories = CODE.to_vec();
    directories.push("python");
    let is_test = |path: &Path| path.with_extension("").iter().any(|part| part == "tests");
    let long = offenders(sources(&directories, &["rs", "py", "pyi", "sh"]), |path, text| {
        text.lines().count() > if is_test(path) { LONGEST_OF_TESTS } else { LONGEST }
    });
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_name_says_nothing() {
    let vague = ["utils", "util", "helpers", "common", "misc", "manager"];
    let wrong =
        offenders(rust(&CODE), |path, _| path.file_stem().is_some_and(|stem| vague.iter().any(|name| stem == *name)));
    assert!(wrong.is_empty(), "{wrong:?}");
}
