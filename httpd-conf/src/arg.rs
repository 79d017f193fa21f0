//! One argument of a directive, written so that Apache reads it back as it was given.

use camino::{Utf8Path, Utf8PathBuf};

/// The variable that stands for `$`: Apache replaces `${NAME}` in every line and has no way to escape it, so this
/// variable is defined as `$`.
pub(crate) const DOLLAR: &str = "MOD_WSGI_DOLLAR";

/// An argument. The kinds differ in the parser that takes the quotes off again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// A word for Apache's own parser: quotes and backslashes are escaped.
    Word(String),
    /// `name=value`, where only the value may be quoted (`WSGIDaemonProcess` and its like).
    Setting(&'static str, String),
    /// A regular expression of `RewriteRule` or `RewriteCond`: mod_rewrite reads the line itself and keeps backslashes.
    Pattern(String),
}

impl Arg {
    /// The text given, before quoting.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Setting(_, text) | Self::Pattern(text) => text,
        }
    }

    /// The text for the file.
    pub(crate) fn quoted(&self) -> String {
        match self {
            Self::Word(text) => word(text),
            Self::Setting(name, value) => format!("{name}={}", word(value)),
            Self::Pattern(text) => format!("\"{}\"", literal_dollar(&text.replace('"', "\\\""))),
        }
    }
}

/// Quoted for `ap_getword_conf`: within double quotes a backslash protects a backslash or a double quote.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:%+,=@*!()^{}[]".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", literal_dollar(&escaped))
}

fn literal_dollar(text: &str) -> String {
    text.replace("${", &format!("${{{DOLLAR}}}{{"))
}

/// A literal value for `Header` and `RequestHeader`, which read `%` as the start of a format.
pub(crate) fn header_value(text: &str) -> String {
    text.replace('%', "%%")
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Word(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Word(text)
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::Word(text.clone())
    }
}

impl From<&Utf8Path> for Arg {
    fn from(path: &Utf8Path) -> Self {
        Self::Word(path.to_string())
    }
}

impl From<&Utf8PathBuf> for Arg {
    fn from(path: &Utf8PathBuf) -> Self {
        Self::Word(path.to_string())
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Word(number.to_string())
    }
}

impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self::Word(number.to_string())
    }
}

impl From<u16> for Arg {
    fn from(number: u16) -> Self {
        Self::Word(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_needed() {
        let cases = [
            ("/srv/site", "/srv/site"),
            ("%{GLOBAL}", "%{GLOBAL}"),
            ("", r#""""#),
            ("demo site", r#""demo site""#),
            ("it's", r#""it's""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r"back\slash", r#""back\\slash""#),
            ("<tag>", r#""<tag>""#),
            ("a#b", r##""a#b""##),
            ("${HOME}", r#""${MOD_WSGI_DOLLAR}{HOME}""#),
            ("$HOME", r#""$HOME""#),
        ];
        for (text, expected) in cases {
            assert_eq!(Arg::from(text).quoted(), expected);
        }
    }

    #[test]
    fn only_the_value_of_a_setting_is_quoted() {
        assert_eq!(Arg::Setting("home", "/my site".into()).quoted(), r#"home="/my site""#);
        assert_eq!(Arg::Setting("threads", "5".into()).quoted(), "threads=5");
    }

    #[test]
    fn patterns_keep_their_backslashes() {
        assert_eq!(Arg::Pattern(r"^v1\.0(/|$)".into()).quoted(), r#""^v1\.0(/|$)""#);
        assert_eq!(Arg::Pattern(r#"a"b"#.into()).quoted(), r#""a\"b""#);
    }
}
