//! No logic twice: no run of lines stands in two places.

use std::collections::BTreeMap;

use crate::{CODE, rust};

/// How many lines that say something make a run.
const RUN: usize = 5;

/// Whether a line says something: it is no punctuation, no comment, no import, no attribute, and no field or argument
/// with its type, of which the same ones come together in several places.
fn says_something(line: &str) -> bool {
    let is_aside =
        ["//", "use ", "pub use ", "#[", "#![", "&self,", "&mut self,"].iter().any(|start| line.starts_with(start));
    let words = line.trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    let is_name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_., ".contains(c));
    let is_listed = words.strip_suffix(',').is_some_and(|item| {
        let (name, value) = item.split_once(": ").unwrap_or((item, ""));
        is_name(name) && !value.contains('(')
    });
    line.chars().any(char::is_alphabetic) && !is_aside && !is_listed
}

/// The lines of the code of a file that say something, with their numbers.
fn lines(text: &str) -> Vec<(usize, &str)> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code.lines().map(str::trim).enumerate();
    lines.filter(|(_, line)| says_something(line)).map(|(at, line)| (at + 1, line)).collect()
}

/// The runs that stand in several places, each with all of them.
fn twins(files: &[(String, String)]) -> Vec<String> {
    let mut places: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for (path, text) in files {
        let lines = lines(text);
        for run in lines.windows(RUN) {
            let words = run.iter().map(|(_, line)| *line).collect();
            places.entry(words).or_default().push(format!("{path}:{}", run[0].0));
        }
    }
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    several.map(|(run, places)| format!("{}:\n{}", places.join(", "), run.join("\n"))).collect()
}

#[test]
fn no_run_of_lines_stands_in_two_places() {
    let is_test = |path: &std::path::Path| {
        let is_there = |name: &str| path.with_extension("").iter().any(|part| part == name);
        ["tests", "benches"].into_iter().any(is_there)
    };
    let files = rust(&CODE).into_iter().filter(|(path, _)| !is_test(path));
    let files: Vec<_> = files.map(|(path, text)| (path.display().to_string(), text)).collect();
    let found = twins(&files);
    assert!(files.len() > 300 && found.is_empty(), "of {} files:\n{}", files.len(), found.join("\n\n"));
}

#[test]
fn a_run_that_stands_in_two_places_is_found() {
    let run = "let a = f();\nlet b = g(a);\nif a > b {\n    // Why.\n    h(b);\n}\nlet c = k(b);\n";
    let fields = "pub a: u32,\npub b: u32,\npub c: u32,\nat.d,\ne,\n";
    let files = [("a.rs", format!("fn x() {{\n{run}}}\n{fields}")), ("b.rs", format!("{fields}fn y() {{\n{run}}}"))];
    let found = twins(&files.map(|(path, text)| (path.to_owned(), text)));
    assert!(found.len() == 1 && found[0].starts_with("a.rs:2, b.rs:7:\n"), "{found:?}");
}
