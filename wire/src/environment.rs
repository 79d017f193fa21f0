//! Variables for the environment of daemon processes: which may be set, and files that hold some, as systemd's
//! `EnvironmentFile` does.

/// Why a variable cannot be set, or a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// There is no `=` in it.
    #[error("it must be NAME=VALUE")]
    NoValue,
    /// The name is invalid.
    #[error("a name consists of letters, digits and '_', and does not begin with a digit")]
    Name,
    /// The variable would keep the process from working.
    #[error("{name} must not be set: {reason}")]
    Reserved {
        /// The name of the variable.
        name: &'static str,
        /// Why not, and what to do instead.
        reason: &'static str,
    },
    /// The value cannot be in an environment.
    #[error("a value cannot hold a NUL byte")]
    Nul,
    /// A quote is not closed.
    #[error("a quote is opened and not closed")]
    Quote,
}

/// The variables that would keep the interpreter from starting, with the reasons.
const RESERVED: [(&str, &str); 3] = [
    ("PYTHONHOME", "the interpreter would not find its own library; use python-home"),
    ("PYTHONEXECUTABLE", "the interpreter would take itself for another one; use python-home"),
    ("PYTHONINSPECT", "the process would wait for somebody to type instead of ending"),
];

/// Checks whether a variable may be set.
///
/// # Errors
/// [`EnvironmentError`]
pub fn check(name: &[u8], value: &[u8]) -> Result<(), EnvironmentError> {
    let starts = name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    if !starts || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return Err(EnvironmentError::Name);
    }
    if let Some((name, reason)) = RESERVED.into_iter().find(|(reserved, _)| reserved.as_bytes() == name) {
        return Err(EnvironmentError::Reserved { name, reason });
    }
    if value.contains(&0) { Err(EnvironmentError::Nul) } else { Ok(()) }
}

/// Splits a text `NAME=VALUE`.
///
/// # Errors
/// [`EnvironmentError`]
pub fn assignment(text: &[u8]) -> Result<(&[u8], &[u8]), EnvironmentError> {
    let at = text.iter().position(|b| *b == b'=').ok_or(EnvironmentError::NoValue)?;
    let (name, value) = (&text[..at], &text[at + 1..]);
    check(name, value).map(|()| (name, value))
}

/// Reads the text of a file: `NAME=VALUE` lines; empty ones and those that begin with `#` or `;` are skipped. A value
/// may be quoted by `'`, or by `"` within which, as without quotes, a backslash takes the next character as it is; a
/// backslash at the end of a line continues it. The value is lent to `variable` only, and its memory is overwritten.
///
/// # Errors
/// The line, counted from 1, and [`EnvironmentError`].
pub fn read(text: &[u8], mut variable: impl FnMut(&[u8], &[u8])) -> Result<(), (usize, EnvironmentError)> {
    let (mut rest, mut line, mut value) = (text, 1, Vec::with_capacity(text.len()));
    let mut outcome = Ok(());
    while !rest.is_empty() && outcome.is_ok() {
        let begin = line;
        value.clear();
        outcome = entry(&mut rest, &mut line, &mut value)
            .and_then(|name| match name {
                Some(name) => check(name, &value).map(|()| variable(name, &value)),
                None => Ok(()),
            })
            .map_err(|error| (begin, error));
    }
    value.clear();
    value.resize(value.capacity(), 0);
    std::hint::black_box(&value);
    outcome
}

/// Takes one entry off the front. Returns its name; `None` for a line without one.
fn entry<'t>(rest: &mut &'t [u8], line: &mut usize, value: &mut Vec<u8>) -> Result<Option<&'t [u8]>, EnvironmentError> {
    let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let first = rest[..end].trim_ascii();
    if first.is_empty() || matches!(first[0], b'#' | b';') {
        *rest = rest.get(end + 1..).unwrap_or_default();
        *line += 1;
        return Ok(None);
    }
    let at = rest[..end].iter().position(|b| *b == b'=').ok_or(EnvironmentError::NoValue)?;
    let name = rest[..at].trim_ascii();
    let blanks = rest[at + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    *rest = &rest[at + 1 + blanks..];
    let (mut quote, mut kept) = (None, 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        *line += usize::from(*byte == b'\n');
        match (byte, quote) {
            (b'\n', None) => {
                value.truncate(kept.max(value.trim_ascii_end().len()));
                return Ok(Some(name));
            }
            (b'\\', None | Some(b'"')) => {
                let Some((next, after)) = rest.split_first() else { break };
                *rest = after;
                if *next == b'\n' {
                    *line += 1;
                } else {
                    value.push(*next);
                    kept = value.len();
                }
            }
            (b'"' | b'\'', None) => quote = Some(*byte),
            (_, Some(open)) if *byte == open => {
                quote = None;
                kept = value.len();
            }
            _ => value.push(*byte),
        }
    }
    if quote.is_some() {
        return Err(EnvironmentError::Quote);
    }
    value.truncate(kept.max(value.trim_ascii_end().len()));
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, String)>, (usize, EnvironmentError)> {
        let mut found = Vec::new();
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read(text.as_bytes(), |name, value| found.push((owned(name), owned(value)))).map(|()| found)
    }

    #[test]
    fn files_are_read_as_systemd_does() {
        let text =
            "# comment\n\n; too\nA=1\n B = two words  \nC='single \\ # x'\nD=\"a\\\"b\nc\"\nE=one\\\ntwo\nF=\nG= ' x '";
        let found = all(text).unwrap();
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "single \\ # x"),
            ("D", "a\"b\nc"),
            ("E", "onetwo"),
            ("F", ""),
            ("G", " x "),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert_eq!(all("A=1\n\nnonsense\n"), Err((3, EnvironmentError::NoValue)));
        assert_eq!(all("A=\"1\n2\"\n2B=3"), Err((3, EnvironmentError::Name)));
        assert_eq!(all("A='1\n"), Err((1, EnvironmentError::Quote)));
        assert!(matches!(all("PYTHONHOME=/x"), Err((1, EnvironmentError::Reserved { name: "PYTHONHOME", .. }))));
        assert_eq!(assignment(b"A=b=c"), Ok((&b"A"[..], &b"b=c"[..])));
        assert_eq!(assignment(b"A"), Err(EnvironmentError::NoValue));
        assert_eq!(check(b"A", b"\0"), Err(EnvironmentError::Nul));
    }
}
