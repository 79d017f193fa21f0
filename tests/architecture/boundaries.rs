//! The boundaries at which a panic is caught: every function that C calls has a guard, every thread has one, each guard
//! and each mark has a name, and `tests/panics` brings a panic about at each name.

use std::collections::BTreeSet;

use crate::rust;

/// The directories with code that C calls, or that may start threads.
const CODE: [&str; 3] = ["src", "engine/src", "unix/src"];

/// Functions that C calls and that have no guard, with the reason.
const UNGUARDED: [(&str, &str); 10] = [
    ("PyInit__engine", "only names the module's definition"),
    ("traverse", "may raise nothing; only looks at pointers"),
    ("positional", "calls `call`, which has one"),
    ("look", "only copies two numbers"),
    ("on_signal", "runs in signal handlers: system calls only"),
    ("before", "runs around fork: takes a lock"),
    ("in_parent", "runs around fork: gives the lock back"),
    ("in_child", "runs in forked processes: system calls only"),
    ("translate_name", "`with_request` has one"),
    ("access_checker", "`with_request` has one"),
];

/// Functions that start a thread whose guard is elsewhere, and where.
const GUARDED_ELSEWHERE: [(&str, &str); 3] = [
    ("start_probe", "monitor::probe"),
    ("start_workers", "Worker::run"),
    ("with", "the caller takes a panic for a failure"),
];

/// Instances of these classes live as long as their interpreter.
const IMMORTAL: [&str; 3] = ["mod_wsgi.Functions", "mod_wsgi.Driver", "mod_wsgi.Done"];

/// What is called with the name of a place first.
const NAMING: [&str; 11] = [
    "guard::enter(",
    "guard::catch(",
    "guard::repeat(",
    "guard::object(",
    "guard::method(",
    "guard::status(",
    "guard::silent(",
    "panics::point(",
    "with_request(",
    "thread::run(",
    "BackgroundThread::repeat(",
];

/// The files in which a name may be another thing than a literal: what passes a name on, and classes.
const PASS_NAMES_ON: [&str; 4] =
    ["src/module/mod.rs", "src/httpd/process.rs", "engine/src/ffi/class.rs", "engine/src/process/thread.rs"];

/// The code of a file without its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text)
}

fn files() -> Vec<(String, String)> {
    let files = rust(&CODE).into_iter().filter(|(path, _)| {
        let name = path.to_string_lossy();
        // What is compiled for Windows has the same hooks.
        !name.contains("/windows") && !name.ends_with("tests.rs") && !name.ends_with("fuzz.rs")
    });
    files.map(|(path, text)| (path.display().to_string(), without_tests(&text).to_owned())).collect()
}

/// The texts that follow each occurrence of a word.
fn after<'t>(text: &'t str, word: &str) -> impl Iterator<Item = &'t str> {
    let length = word.len();
    text.match_indices(word).map(move |(at, _)| &text[at + length..])
}

/// The functions of a file, each from its `fn` to the one that follows.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split(" fn ").flat_map(|part| part.split("\nfn "))
}

/// A literal at the beginning of a text.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"').or_else(|| text.trim_start().strip_prefix("c\""))?.split('"').next()
}

/// The names of all places in a file, and what is given as a name and is none.
fn names(path: &str, text: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut names, mut unnamed) = (BTreeSet::new(), Vec::new());
    for given in NAMING.iter().flat_map(|word| after(text, word)) {
        match literal(given) {
            Some(name) => drop(names.insert(name.to_owned())),
            None if PASS_NAMES_ON.contains(&path) => {}
            None => unnamed.push(format!("{path}: {}", given.lines().next().unwrap_or_default())),
        }
    }
    for class in after(text, "impl Class for ") {
        let class = class.split("\n}\n").next().unwrap_or(class);
        let name = after(class, "NAME: &'static std::ffi::CStr = ").find_map(literal).unwrap_or_default();
        let own = [".method(", ".function(", ".attribute("];
        let mut members: BTreeSet<_> = own.iter().flat_map(|word| after(class, word)).filter_map(literal).collect();
        let slots = [
            (".iterator(", ["tp_iternext"].as_slice()),
            (".awaitable(", &["tp_iternext"]),
            (".collected(", &["tp_clear"]),
            (".init(", &["tp_new", "tp_init"]),
            (".lookup(", &["tp_getattro"]),
        ];
        members.extend(slots.iter().filter(|(word, _)| class.contains(word)).flat_map(|(_, slots)| *slots));
        members.extend((!IMMORTAL.contains(&name)).then_some("tp_dealloc"));
        names.extend(members.into_iter().map(|member| format!("{name}.{member}")));
    }
    (names, unnamed)
}

#[test]
fn every_function_that_c_calls_catches_panics() {
    let mut found = BTreeSet::new();
    for (path, text) in files() {
        for function in after(&text, "extern \"C\" fn ") {
            let body = function.split("\n}\n").next().unwrap_or(function);
            let name = body.split(['<', '(']).next().unwrap_or_default();
            let is_type = name.is_empty();
            let is_guarded = ["guard::", "with_request("].iter().any(|word| body.contains(word));
            let is_exempt = UNGUARDED.iter().any(|(exempt, _)| *exempt == name);
            assert!(is_type || is_guarded || is_exempt, "{path}: `{name}` is called by C and has no guard");
            found.insert(name.to_owned());
        }
    }
    let stale: Vec<_> = UNGUARDED.iter().filter(|(name, _)| !found.contains(*name)).collect();
    assert!(found.len() > 30 && stale.is_empty(), "{stale:?}");
}

#[test]
fn every_thread_catches_panics() {
    let mut found = BTreeSet::new();
    for (path, text) in files() {
        let starts = |function: &&str| [".spawn(", ".spawn_scoped("].iter().any(|word| function.contains(word));
        for function in functions(&text).filter(starts).filter(|it| it.contains("Builder") || it.contains("builder")) {
            let name = function.split(['<', '(']).next().unwrap_or_default();
            let is_exempt = GUARDED_ELSEWHERE.iter().any(|(exempt, _)| *exempt == name);
            assert!(function.contains("guard::") || is_exempt, "{path}: `{name}` starts a thread without a guard");
            found.insert(name.to_owned());
        }
    }
    let stale: Vec<_> = GUARDED_ELSEWHERE.iter().filter(|(name, _)| !found.contains(*name)).collect();
    assert!(found.len() > 5 && stale.is_empty(), "{stale:?} {found:?}");
}

#[test]
fn a_panic_is_brought_about_at_every_place_that_has_a_name() {
    let cases: String = rust(&["tests/panics"]).into_iter().map(|(_, text)| text).collect();
    let (mut places, mut wrong) = (0, Vec::new());
    for (path, text) in files() {
        let (names, unnamed) = names(&path, &text);
        wrong.extend(unnamed);
        places += names.len();
        let has_case = |name: &str| cases.contains(&format!("\"{name}\""));
        let without = names.into_iter().filter(|name| !has_case(name));
        wrong.extend(without.map(|name| format!("{path}: no case of tests/panics has {name:?}")));
    }
    assert!(places > 100 && wrong.is_empty(), "of {places} places: {wrong:#?}");
}
