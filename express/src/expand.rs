//! `$NAME` and `${NAME}` in arguments, so that service files can use variables without a shell.

/// Replaces the variables that `lookup` knows; others stay as they are.
pub fn variables(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let found = reference(after).and_then(|(name, length)| Some((lookup(name)?, length)));
        match found {
            Some((value, length)) => {
                out.push_str(&value);
                rest = &after[length..];
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out + rest
}

/// The name at the start of what follows a dollar sign, and how many bytes it takes up there.
fn reference(after: &str) -> Option<(&str, usize)> {
    if let Some(braced) = after.strip_prefix('{') {
        let end = braced.find('}')?;
        return Some((&braced[..end], end + 2));
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    (end > 0).then(|| (&after[..end], end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_replaced() {
        let lookup = |name: &str| (name == "PORT").then(|| "80".to_owned());
        for (text, expected) in [
            ("$PORT", "80"),
            ("a${PORT}b$PORT.", "a80b80."),
            ("${UNKNOWN} $UNKNOWN", "${UNKNOWN} $UNKNOWN"),
            ("$", "$"),
            ("$$PORT", "$80"),
            ("${PORT", "${PORT"),
            ("č$PORT", "č80"),
        ] {
            assert_eq!(variables(text, lookup), expected);
        }
    }
}
