//! The status as a page for people: one document that fetches its figures anew by itself.
#![forbid(unsafe_code)]

use super::json;
use super::report::Report;

/// The media type of the page.
pub const CONTENT_TYPE: &[u8] = b"text/html; charset=utf-8";

/// Renders the page. Names of groups are in it as JSON only, which has no characters that mean something in HTML.
pub fn render(report: &Report, nonce: &str) -> String {
    include_str!("page.html")
        .replace("@nonce@", nonce)
        .replace("@style@", include_str!("page.css"))
        .replace("@script@", include_str!("page.js"))
        .replace("@report@", &json::render(report))
}

/// The Content-Security-Policy that lets this page run its own script and style, and fetch from its own server; nothing
/// else.
pub fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::example;
    use super::*;

    #[test]
    fn everything_is_filled_in_and_no_name_ends_the_script() {
        let page = render(&example::report("</script><img>"), "abc");
        assert!(!page.contains("<img>") && page.contains("\\u003c/script\\u003e"));
        for hole in ["@nonce@", "@style@", "@script@", "@report@"] {
            assert!(!page.contains(hole), "{hole}");
        }
        assert_eq!(page.matches("nonce=\"abc\"").count(), 3);
    }
}
