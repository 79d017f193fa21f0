//! Comments: what of their form a test can see.

use std::path::Path;

use crate::{CODE, rust};

/// The sources whose doc comments are for people who read the code.
const SOURCES: [&str; 10] = [
    "src",
    "wire/src",
    "unix/src",
    "websocket/src",
    "engine/src",
    "supervisor/src",
    "apxs/src",
    "httpd-conf/src",
    "express/src",
    "tests/harness",
];

/// The sources whose doc comments are lines of the command's help, which has a form of its own.
const HELP: [&str; 2] = ["express/src/options", "express/src/cli.rs"];

/// How many words a doc comment has at least: with fewer it repeats a name.
const WORDS: usize = 3;

/// The doc comments of a file: the number of each one's first line, and its first paragraph.
fn docs(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut before = "";
    let mut in_paragraph = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let mark = ["///", "//!"].into_iter().find(|mark| line.starts_with(mark)).unwrap_or("");
        let words = line.get(mark.len()..).unwrap_or("").trim();
        if mark.is_empty() {
            in_paragraph = false;
        } else if mark != before {
            in_paragraph = true;
            found.push((number + 1, words.to_owned()));
        } else if words.is_empty() {
            in_paragraph = false;
        } else if let (true, Some((_, paragraph))) = (in_paragraph, found.last_mut()) {
            paragraph.push(' ');
            paragraph.push_str(words);
        }
        before = mark;
    }
    found
}

/// What keeps a paragraph from being a sentence.
fn fault(paragraph: &str) -> Option<&'static str> {
    let begins = paragraph.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit() || "`[$".contains(c));
    let ends = paragraph.trim_end_matches([')', '"']).ends_with(['.', ':', '!', '?']);
    match (begins, ends) {
        (false, _) => Some("begins with no capital letter"),
        (_, false) => Some("does not end with a full stop"),
        _ => (paragraph.split_whitespace().count() < WORDS).then_some("is too short to say anything"),
    }
}

#[test]
fn doc_comments_are_sentences() {
    let is_help = |path: &Path| HELP.iter().any(|help| path.starts_with(help));
    let mut wrong = Vec::new();
    for (path, text) in rust(&SOURCES).into_iter().filter(|(path, _)| !is_help(path)) {
        for (number, paragraph) in docs(&text).into_iter().filter(|(_, paragraph)| !paragraph.starts_with("# ")) {
            let fault = fault(&paragraph).map(|fault| format!("{}:{number}: {fault}: {paragraph}", path.display()));
            wrong.extend(fault);
        }
    }
    assert!(wrong.is_empty(), "doc comments that are no sentences:\n{}", wrong.join("\n"));
}

/// The types of a file, by the numbers of their lines, that no doc comment is above.
fn undocumented(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let is_type = words.next().is_some_and(|word| ["struct", "enum", "union", "trait"].contains(&word));
        words.next().filter(|name| is_type && name.starts_with(char::is_uppercase)).map(str::to_owned)
    };
    // What stands between a type and its comment: attributes, of one line or more.
    let is_documented = |number: usize| {
        let above = lines[..number].iter().rev();
        let mut above = above
            .skip_while(|line| !line.is_empty() && !line.ends_with(['}', ';', '{', '/']) && !line.starts_with("///"));
        above.next().is_some_and(|line| line.starts_with("///"))
    };
    let types = lines.iter().enumerate().filter_map(|(number, line)| Some((number, declares(line)?)));
    types.filter(|(number, _)| !is_documented(*number)).map(|(number, name)| (number + 1, name)).collect()
}

#[test]
fn every_type_has_a_doc_comment() {
    let mut wrong = Vec::new();
    for (path, text) in rust(&SOURCES).into_iter().filter(|(path, _)| !path.ends_with("tests.rs")) {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        wrong.extend(undocumented(code).into_iter().map(|(line, name)| format!("{}:{line}: {name}", path.display())));
    }
    assert!(wrong.is_empty(), "types without a doc comment:\n{}", wrong.join("\n"));
}

#[test]
fn a_type_without_a_doc_comment_is_found() {
    let text = "/// Words about it.\n#[derive(\n    Debug,\n)]\npub(crate) struct A;\nfn a() {}\n#[derive(Debug)]\nenum B {}\n\nstruct C<T> {\n    a: T,";
    assert_eq!(undocumented(text), [(8, "B".to_owned()), (10, "C<T>".to_owned())]);
}

#[test]
fn a_word_of_the_field_is_not_called_by_another_name() {
    // In two parts, so that this file does not have it.
    let word = concat!("fol", "der");
    let wrong = rust(&CODE).into_iter().filter(|(_, text)| text.to_lowercase().contains(word)).map(|(path, _)| path);
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "a {word} is a directory: {wrong:?}");
}

#[test]
fn a_doc_comment_that_is_no_sentence_is_found() {
    let text = "//! Words about it.\n/// Where.\n///\n/// Further words\nfn a() {}\n    /// its number,\n    /// counted\n    a: u32,";
    let found: Vec<_> = docs(text).into_iter().map(|(number, paragraph)| (number, fault(&paragraph))).collect();
    let expected = [None, Some("is too short to say anything"), Some("begins with no capital letter")];
    assert_eq!(found, [1, 2, 6].into_iter().zip(expected).collect::<Vec<_>>());
    assert_eq!(fault("The number of it"), Some("does not end with a full stop"));
}
