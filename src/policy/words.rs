//! How a configuration line is cut into words and `name=value` options.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::RangeInclusive;

/// What is wrong with the arguments of a directive. The caller puts the directive's name in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Too few or too many words.
    #[error("takes {0}")]
    Arguments(&'static str),
    /// A word that is no `name=value`.
    #[error("`{word}` is no option; options are written name=value, and known are {known}")]
    NoOption {
        /// The word that was found.
        word: String,
        /// The options of this directive.
        known: String,
    },
    /// A value that is not one of those allowed.
    #[error("{what} is `{value}`, must be {legal}")]
    Value {
        /// The option or argument.
        what: String,
        /// The word that was given.
        value: String,
        /// The words that may be given.
        legal: String,
    },
    /// A required option is missing.
    #[error("needs the option {0}")]
    Missing(&'static str),
    /// Anything that is about the rest of the configuration.
    #[error("{0}")]
    Conflict(String),
}

impl ArgumentError {
    /// Makes the error of a value that is not one of those allowed.
    pub fn value(what: impl fmt::Display, value: &[u8], legal: impl fmt::Display) -> Self {
        Self::Value { what: what.to_string(), value: show(value), legal: legal.to_string() }
    }
}

/// The text of bytes of the configuration, for a message.
pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

/// Takes one word off the front, by the rules of Apache's own `ap_getword_conf`: blanks separate; `'` or `"` encloses,
/// and a backslash escapes itself and the enclosing quote. `None` at the end of the line.
pub fn word(line: &mut &[u8]) -> Option<Vec<u8>> {
    *line = line.trim_ascii_start();
    let (first, rest) = line.split_first()?;
    if *first != b'"' && *first != b'\'' {
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        *line = rest;
        return Some(word.to_vec());
    }
    let mut word = Vec::new();
    let mut from = rest;
    while let Some((byte, rest)) = from.split_first() {
        from = rest;
        match (byte, rest.first()) {
            (b'\\', Some(next)) if *next == b'\\' || next == first => {
                word.push(*next);
                from = &rest[1..];
            }
            _ if byte == first => break,
            _ => word.push(*byte),
        }
    }
    *line = from;
    Some(word)
}

/// Takes the path of a script off the front; an empty one is none.
pub fn script(line: &mut &[u8]) -> Option<Vec<u8>> {
    word(line).filter(|path| !path.is_empty())
}

/// Takes the only word of a line.
pub fn one(mut line: &[u8], expected: &'static str) -> Result<Vec<u8>, ArgumentError> {
    let found = word(&mut line).ok_or(ArgumentError::Arguments(expected))?;
    if line.trim_ascii_start().is_empty() && !found.is_empty() {
        Ok(found)
    } else {
        Err(ArgumentError::Arguments(expected))
    }
}

/// Takes all words of a line.
pub fn all(mut line: &[u8]) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| word(&mut line)).collect()
}

/// Parses `On` or `Off`, in any case.
pub fn flag(line: &[u8]) -> Result<bool, ArgumentError> {
    let given = one(line, "one argument, On or Off")?;
    Value { option: "the argument", text: given }.flag()
}

/// One option of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'o> {
    /// The name of the option, for messages.
    pub option: &'o str,
    /// The value of the option, without quotes.
    pub text: Vec<u8>,
}

/// Takes one `name=value` off the front; `None` at the end of the line. Blanks behind the `=` are skipped, as the peer
/// does.
///
/// # Errors
/// [`ArgumentError::NoOption`] for a word without `=` or name, or a name that is not `known`.
pub fn option<'o>(line: &mut &[u8], known: &[&'o str]) -> Result<Option<Value<'o>>, ArgumentError> {
    *line = line.trim_ascii_start();
    if line.is_empty() {
        return Ok(None);
    }
    let end = line.iter().position(|b| *b == b'=' || b.is_ascii_whitespace()).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let no_option = || ArgumentError::NoOption { word: show(name), known: known.join(", ") };
    let rest = rest.strip_prefix(b"=").ok_or_else(no_option)?;
    let option = known.iter().find(|k| k.as_bytes() == name).ok_or_else(no_option)?;
    *line = rest;
    Ok(Some(Value { option, text: word(line).unwrap_or_default() }))
}

impl Value<'_> {
    fn wrong(&self, legal: impl fmt::Display) -> ArgumentError {
        ArgumentError::value(self.option, &self.text, legal)
    }

    /// Parses a number of digits only, within bounds.
    pub fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, ArgumentError>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display,
    {
        let parsed = std::str::from_utf8(&self.text).ok().and_then(|t| t.parse::<T>().ok());
        parsed
            .filter(|n| range.contains(n))
            .ok_or_else(|| self.wrong(format_args!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// Parses 0, for "the system's own", or a number of at least `min`.
    pub fn size(&self, min: u32) -> Result<u32, ArgumentError> {
        match self.number(0..=i32::MAX as u32) {
            Ok(n) if n == 0 || n >= min => Ok(n),
            _ => Err(self.wrong(format_args!("0 or a whole number of at least {min}"))),
        }
    }

    /// Parses a number of bytes: a whole number, or one of KiB, MiB or GiB with `K`, `M` or `G` behind it.
    pub fn bytes(&self) -> Result<u64, ArgumentError> {
        let (number, shift) = match self.text.split_last() {
            Some((b'k' | b'K', number)) => (number, 10),
            Some((b'm' | b'M', number)) => (number, 20),
            Some((b'g' | b'G', number)) => (number, 30),
            _ => (&self.text[..], 0),
        };
        let digits = std::str::from_utf8(number).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        let parsed = digits.and_then(|t| t.parse::<u64>().ok()).and_then(|n| n.checked_mul(1 << shift));
        parsed
            .filter(|n| *n <= i64::MAX as u64)
            .ok_or_else(|| self.wrong("a number of bytes such as 536870912, 524288K, 512M or 2G"))
    }

    /// Parses a whole number of seconds.
    pub fn seconds(&self) -> Result<u32, ArgumentError> {
        self.number(0..=i32::MAX as u32)
    }

    /// Parses a number above zero, with or without fraction.
    pub fn positive(&self) -> Result<f64, ArgumentError> {
        let parsed = std::str::from_utf8(&self.text).ok().and_then(|t| t.parse::<f64>().ok());
        parsed.filter(|n| n.is_finite() && *n > 0.0).ok_or_else(|| self.wrong("a number above 0"))
    }

    /// Parses an octal number, such as a umask.
    pub fn octal(&self) -> Result<u32, ArgumentError> {
        let digits = std::str::from_utf8(&self.text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        digits
            .and_then(|t| u32::from_str_radix(t, 8).ok())
            .filter(|n| *n <= 0o777)
            .ok_or_else(|| self.wrong("an octal number such as 0022"))
    }

    /// Parses `On` or `Off`, in any case.
    pub fn flag(&self) -> Result<bool, ArgumentError> {
        if self.text.eq_ignore_ascii_case(b"On") {
            Ok(true)
        } else if self.text.eq_ignore_ascii_case(b"Off") {
            Ok(false)
        } else {
            Err(self.wrong("On or Off"))
        }
    }

    /// Takes a text of at least one character.
    pub fn text(self) -> Result<Vec<u8>, ArgumentError> {
        if self.text.is_empty() { Err(self.wrong("some text")) } else { Ok(self.text) }
    }

    /// Takes an absolute path.
    pub fn absolute(self) -> Result<Vec<u8>, ArgumentError> {
        if self.text.starts_with(b"/") { Ok(self.text) } else { Err(self.wrong("an absolute path")) }
    }

    /// Takes the name of a group as it is kept: `%{GLOBAL}` is the empty name.
    pub fn group(self) -> Result<Vec<u8>, ArgumentError> {
        let text = self.text()?;
        Ok(if text == b"%{GLOBAL}" { Vec::new() } else { text })
    }

    /// Takes a list of directories with `:` between.
    pub fn paths(self) -> Vec<Vec<u8>> {
        paths(&self.text)
    }
}

/// Splits a list of directories with `:` between; empty places are left out.
pub fn paths(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|b| *b == b':').filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        all(line.as_bytes()).iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    }

    #[test]
    fn words_are_cut_as_apache_does() {
        assert_eq!(words("  a  b\tc "), ["a", "b", "c"]);
        assert_eq!(words(r#""two words" 'it is' x"#), ["two words", "it is", "x"]);
        assert_eq!(words(r#""a\"b\\c\d" 'x\'y' p\q"#), ["a\"b\\c\\d", "x'y", "p\\q"]);
        assert_eq!(words(r#""" ''"#), ["", ""]);
        assert_eq!(words(r#""no end"#), ["no end"]);
        assert_eq!(words(""), Vec::<String>::new());
    }

    fn number(text: &str) -> Result<u32, ArgumentError> {
        Value { option: "threads", text: text.into() }.number(0..=100)
    }

    #[test]
    fn numbers_are_whole_words_within_bounds() {
        assert_eq!(number("5"), Ok(5));
        assert_eq!(number("0"), Ok(0));
        for bad in ["", "5x", " 5", "-1", "101", "1e1", "0x5"] {
            assert!(number(bad).is_err(), "{bad}");
        }
        assert_eq!(number("5x").unwrap_err().to_string(), "threads is `5x`, must be a whole number from 0 to 100");
    }

    #[test]
    fn options_have_known_names() {
        let known = ["threads", "home"];
        let mut line: &[u8] = br#" threads= 5 home="/a b" "#;
        let Ok(Some(threads)) = option(&mut line, &known) else { panic!() };
        assert_eq!((threads.option, &threads.text[..]), ("threads", &b"5"[..]));
        let Ok(Some(home)) = option(&mut line, &known) else { panic!() };
        assert_eq!(home.text, b"/a b");
        assert_eq!(option(&mut line, &known), Ok(None));
        for bad in ["threads", "=5", "Threads=5", "thread=5", "threads =5"] {
            assert!(option(&mut bad.as_bytes(), &known).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_values_are_checked_too() {
        let value = |text: &str| Value { option: "x", text: text.into() };
        assert_eq!(value("0022").octal(), Ok(0o22));
        assert!(["", "9", "rwx", "-1", "7777"].iter().all(|bad| value(bad).octal().is_err()));
        assert_eq!(value("ON").flag(), Ok(true));
        assert!(value("yes").flag().is_err());
        assert!(["0", "-1", "5ms", "nan", "inf", ""].iter().all(|bad| value(bad).positive().is_err()));
        assert_eq!(value("0.25").positive(), Ok(0.25));
        assert!(value("relative").absolute().is_err());
        assert_eq!(value("%{GLOBAL}").group(), Ok(Vec::new()));
        assert_eq!((value("0").size(512), value("512").size(512)), (Ok(0), Ok(512)));
        assert!(value("511").size(512).is_err());
        assert_eq!(value("/a::/b").paths(), [b"/a".to_vec(), b"/b".to_vec()]);
    }
}
