//! The width of comments, wherever they stand: rustfmt keeps to it in code and does not touch them, and other languages
//! have no formatter here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::repository;

/// Widest line that has a comment, in characters.
const WIDEST: usize = 120;

/// What is made by a build, or by others, or is input that looks as it does on purpose.
const NOT_OURS: [&str; 7] = ["target", "build", "dist", ".venv", ".git", "corpus", "artifacts"];

/// How comments are written.
#[derive(Clone, Copy, PartialEq)]
enum Comments {
    /// Comments of Rust, C, JavaScript and style sheets: `//` and `/* */`.
    Slashes,
    /// Comments of shells, Python and of files with settings: `#`; and the strings of Python that document.
    Hashes,
}

impl Comments {
    /// The way of a file, by its name or, without an extension, by the program that runs it.
    fn of(path: &Path, text: &str) -> Option<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        match extension.as_deref() {
            Some("rs" | "c" | "h" | "js" | "css") => Some(Self::Slashes),
            Some("py" | "pyi" | "wsgi" | "sh" | "toml" | "yaml" | "yml" | "conf" | "site" | "supp" | "in") => {
                Some(Self::Hashes)
            }
            Some(_) => None,
            None => {
                let is_named = path.file_name().is_some_and(|name| name == "Makefile" || name == "environment");
                (is_named || text.starts_with("#!")).then_some(Self::Hashes)
            }
        }
    }

    /// The lines, counted from 0, that have some of a comment.
    fn lines(self, text: &str) -> BTreeSet<usize> {
        match self {
            Self::Slashes => slashes(text),
            Self::Hashes => hashes(text),
        }
    }
}

/// How many characters a string, or the literal of a character, takes that begins here; 0: none does.
fn literal(code: &[char]) -> usize {
    let hashes = code.iter().skip(1).take_while(|c| **c == '#').count();
    match code {
        ['r', ..] if code.get(1 + hashes) == Some(&'"') => {
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let begin = 2 + hashes;
            let rest = &code[begin..];
            begin + rest.windows(end.len()).position(|found| found == end).map_or(rest.len(), |at| at + end.len())
        }
        ['"', ..] => quoted(code),
        ['\'', '\\', ..] => quoted(code),
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

/// How many characters there are from a quotation mark to its second.
fn quoted(code: &[char]) -> usize {
    let mut at = 1;
    while let Some(character) = code.get(at).filter(|character| **character != code[0]) {
        at += 1 + usize::from(*character == '\\');
    }
    (at + 1).min(code.len())
}

fn slashes(text: &str) -> BTreeSet<usize> {
    let (code, mut at, mut line) = (text.chars().collect::<Vec<_>>(), 0, 0);
    let mut found = BTreeSet::new();
    while at < code.len() {
        let rest = &code[at..];
        let before = at.checked_sub(1).map_or(' ', |before| code[before]);
        let (taken, is_comment) = match rest {
            ['/', '/', ..] => (rest.iter().take_while(|c| **c != '\n').count(), true),
            ['/', '*', ..] => {
                let end = rest.windows(2).skip(2).position(|pair| pair == ['*', '/']).map_or(rest.len(), |end| end + 4);
                (end, true)
            }
            ['r', ..] if before.is_alphanumeric() && before != 'b' => (1, false),
            _ => (literal(rest).max(1), false),
        };
        let lines = rest[..taken].iter().filter(|c| **c == '\n').count();
        if is_comment {
            found.extend(line..=line + lines);
        }
        line += lines;
        at += taken;
    }
    found
}

fn hashes(text: &str) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    // The mark that ends the string of several lines, and whether that one documents.
    let mut open: Option<(&str, bool)> = None;
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        while !rest.is_empty() {
            let before = &line[..line.len() - rest.len()];
            if let Some((mark, documents)) = open {
                if documents {
                    found.insert(number);
                }
                let Some((_, after)) = rest.split_once(mark) else { break };
                (rest, open) = (after, None);
                continue;
            }
            let mark = ["\"\"\"", "'''"].into_iter().find(|mark| rest.starts_with(mark));
            let first = rest.chars().next().unwrap_or_default();
            let word_begins = before.is_empty() || before.ends_with(char::is_whitespace);
            if let Some(mark) = mark {
                open = Some((mark, before.trim_matches([' ', 'r']).is_empty()));
                rest = &rest[mark.len()..];
            } else if first == '#' && word_begins {
                found.insert(number);
                break;
            } else if matches!(first, '"' | '\'') {
                let taken = quoted(&rest.chars().collect::<Vec<_>>());
                rest = rest.char_indices().nth(taken).map_or("", |(at, _)| &rest[at..]);
            } else {
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    found
}

/// Every file of the repository that is ours and has comments, by its path there.
fn files() -> Vec<(PathBuf, String, Comments)> {
    let (mut found, mut waiting) = (Vec::new(), vec![repository()]);
    while let Some(directory) = waiting.pop() {
        for path in fs::read_dir(&directory).expect("a directory").flatten().map(|entry| entry.path()) {
            let is_ours = path.file_name().is_some_and(|name| NOT_OURS.iter().all(|other| name != *other));
            if path.is_dir() {
                waiting.extend(Some(path).filter(|_| is_ours));
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(repository()).expect("in the repository").to_path_buf();
                found.extend(Comments::of(&path, &text).map(|comments| (relative, text, comments)));
            }
        }
    }
    found
}

#[test]
fn comments_wrap_where_code_does() {
    let mut wide = Vec::new();
    for (path, text, comments) in files() {
        let with_comment = comments.lines(&text);
        // The cells of a table cannot be broken.
        let is_cell = |line: &str| line.trim_start().trim_start_matches(['/', '!', '#']).trim_start().starts_with('|');
        let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > WIDEST && !is_cell(line));
        let lines = lines.filter(|(number, _)| with_comment.contains(number));
        wide.extend(lines.map(|(number, line)| format!("{}:{}: {line}", path.display(), number + 1)));
    }
    assert!(wide.is_empty(), "comments wider than {WIDEST} columns:\n{}", wide.join("\n"));
}

#[test]
fn comments_are_found_wherever_they_stand() {
    let rust = "a(); // one\nlet b = \"// none\n// none\";\n/* two\n   three */ c('\"', '\\'', \"x\"); // four\n'a: loop {}\nr#\"// \"none\"#;";
    assert_eq!(Comments::Slashes.lines(rust), BTreeSet::from([0, 3, 4]));
    let python =
        "#!x\na = \"# none\"  # one\n\"\"\"Two\nthree\"\"\"\nb = \"\"\"\n# none\n\"\"\"\necho ${x#y} $# 'it''s' # four";
    assert_eq!(Comments::Hashes.lines(python), BTreeSet::from([0, 1, 2, 3, 7]));
}
