//! SCRIPT_NAME and PATH_INFO.
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// Replaces each run of `/` by one.
pub fn single_slashes(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|w| w == b"//") {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        if *byte != b'/' || out.last() != Some(&b'/') {
            out.push(*byte);
        }
    }
    Cow::Owned(out)
}

/// Returns the name that a path has below `root`, after a `chroot` to that; `None` if the path is not below it.
pub fn inside<'p>(root: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root)).filter(|rest| rest.starts_with(b"/"))
}

/// Returns the target of a request line as it came; the whole line if it has no second word.
pub fn request_target(line: &[u8]) -> &[u8] {
    let rest = line.iter().position(u8::is_ascii_whitespace).map_or(&b""[..], |at| line[at..].trim_ascii_start());
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    &rest[..end]
}

/// Undoes percent-encoding. A `%` that begins no valid one stays as it is.
pub fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let digit = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_slashes_become_one() {
        let rows = [("", ""), ("/", "/"), ("//", "/"), ("/x//y///z//", "/x/y/z/"), ("/a/b", "/a/b")];
        for (given, expected) in rows {
            assert_eq!(single_slashes(given.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn paths_below_a_root_lose_it() {
        let rows = [
            ("/jail", "/jail/app", Some("/app")),
            ("/jail", "/jailor/app", None),
            ("/jail", "/jail", None),
            ("/", "/app", Some("/app")),
        ];
        for (root, path, expected) in rows {
            assert_eq!(inside(root.as_bytes(), path.as_bytes()), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn the_target_is_the_second_word() {
        let rows = [
            ("GET /a?b HTTP/1.1", "/a?b"),
            ("GET http://h:1/x HTTP/1.1", "http://h:1/x"),
            ("GET /a", "/a"),
            ("GET  /a  HTTP/1.1", "/a"),
            ("GET", ""),
        ];
        for (line, target) in rows {
            assert_eq!(request_target(line.as_bytes()), target.as_bytes());
        }
    }
}
