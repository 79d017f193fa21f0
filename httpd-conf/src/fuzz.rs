//! What the fuzz target in `fuzz/` calls: whatever an argument holds, Apache reads it back. Compiled for it and for the
//! unit tests, which try the corpus.

use crate::{Arg, Block};

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[("arguments", arguments)];

/// Writes the arguments of a directive, separated by NUL bytes in the input, and reads them back.
pub fn arguments(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let given: Vec<&str> = text.split('\0').collect();
    let mut block = Block::default();
    block.directive("SetEnv").args(given.iter().copied());
    block.directive("WSGIDaemonProcess").setting("home", given[0]);
    let Ok(written) = block.render() else {
        assert!(text.contains(|c: char| c.is_control()), "only control characters cannot be written");
        return;
    };
    let lines = read(&written);
    let last_two = &lines[lines.len() - 2..];
    let expected: Vec<String> = std::iter::once("SetEnv").chain(given.iter().copied()).map(str::to_owned).collect();
    assert_eq!(words(&last_two[0]), expected, "Apache reads what was given");
    let option =
        last_two[1].strip_prefix("WSGIDaemonProcess ").and_then(|rest| rest.trim_start().strip_prefix("home="));
    assert_eq!(option.map(words), Some(vec![given[0].to_owned()]), "a setting is one word");
    let _ = Arg::Pattern(text.to_owned()).quoted();
}

/// The lines as httpd takes them in (`ap_cfg_getline`, `ap_resolve_env`): continued ones joined, comments left out,
/// variables replaced.
fn read(written: &str) -> Vec<String> {
    let joined = written.replace("\\\n", "");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.replace("${MOD_WSGI_DOLLAR}", "$")).collect()
}

/// The words of a line as `ap_getword_conf` cuts them.
fn words(line: &str) -> Vec<String> {
    let (mut rest, mut found) = (line.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let mut word = String::new();
        let mut chars = rest.char_indices();
        let end = if first == '"' || first == '\'' {
            chars.next();
            loop {
                match chars.next() {
                    None => break rest.len(),
                    Some((at, c)) if c == first => break at + 1,
                    Some((at, '\\')) if rest[at + 1..].starts_with(['\\', first]) => {
                        word.extend(chars.next().map(|(_, c)| c));
                    }
                    Some((_, c)) => word.push(c),
                }
            }
        } else {
            let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
            word.push_str(&rest[..end]);
            end
        };
        found.push(word);
        rest = rest[end..].trim_ascii_start();
    }
    found
}

#[cfg(test)]
#[path = "../../fuzz/corpus.rs"]
mod corpus;
