//! From the head of a daemon's response to Apache's response records: `pyapi.md` §2.5, §2.9.
#![forbid(unsafe_code)]

use wsgi_wire::header;
use wsgi_wire::response::{Head, Headers};

use super::decimal::Decimal;
use crate::httpd::request::Request;
use crate::httpd::response as httpd;
use crate::policy::guarded::Named;

/// What becomes of a response, as its head tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// The response is sent as it is.
    Send,
    /// Its body is dropped and Apache's error page for the status is sent.
    Replace(u16),
    /// Its body is dropped and Apache serves this URL of its own.
    Redirect(Vec<u8>),
    /// Its body is dropped and Apache sends the file that the response names.
    File,
}

/// Headers that are Apache's business alone: what an application says about the connection would break the framing.
const HOP_BY_HOP: [&[u8]; 7] =
    [b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade"];

fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP.iter().any(|h| name.eq_ignore_ascii_case(h))
}

/// Judges a head. With `override_errors` Apache's page takes the place of an error, with `local_redirects` its own URL
/// that of a 200.
pub fn judge(head: &Head<'_>, override_errors: bool, local_redirects: bool) -> Disposition {
    if override_errors && (400..600).contains(&head.status) {
        return Disposition::Replace(head.status);
    }
    let local = |location: &&[u8]| local_redirects && head.status == 200 && location.starts_with(b"/");
    match value(head, b"Location").filter(local) {
        Some(location) => Disposition::Redirect(location.to_vec()),
        None => Disposition::Send,
    }
}

/// The value of a header; of several the last.
pub fn value<'h>(head: &Head<'h>, name: &[u8]) -> Option<&'h [u8]> {
    head.headers.clone().flatten().filter(|(n, _)| n.eq_ignore_ascii_case(name)).last().map(|(_, value)| value)
}

/// The first line of the head that is longer than allowed.
pub fn too_long<'h>(head: &Head<'h>, limit: usize) -> Option<&'h [u8]> {
    head.headers.clone().flatten().find(|(name, value)| name.len() + value.len() + 2 >= limit).map(|(name, _)| name)
}

/// Hands status and headers to Apache. WWW-Authenticate survives on Apache's own error pages.
pub fn apply(r: &mut Request<'_>, head: &Head<'_>) {
    apply_if(r, head, |_| true);
}

fn apply_if(r: &mut Request<'_>, head: &Head<'_>, keep: impl Fn(&[u8]) -> bool) {
    httpd::set_status(r, head.status, &status_line(head));
    for (name, value) in head.headers.clone().flatten().filter(|(name, _)| keep(name)) {
        if name.eq_ignore_ascii_case(b"Content-Type") {
            httpd::set_content_type(r, value);
        } else if header::is_length(name) {
            // Without content there is none (RFC 9110, 8.6); with 304 it is that of what would be sent.
            if head.status != 204 {
                httpd::set_header(r, c"Content-Length", value);
            }
        } else if name.eq_ignore_ascii_case(b"Last-Modified") {
            httpd::set_last_modified(r, value);
        } else if name.eq_ignore_ascii_case(b"Location") {
            httpd::set_header(r, c"Location", value);
        } else if name.eq_ignore_ascii_case(b"Content-Range") {
            httpd::set_header(r, c"Content-Range", value);
        } else if name.eq_ignore_ascii_case(b"WWW-Authenticate") {
            httpd::add_error_header(r, name, value);
        } else if !is_hop_by_hop(name) {
            httpd::add_header(r, name, value);
        }
    }
}

/// The headers that an interim response may have: none that frames a body (RFC 9110, 15.2).
pub fn hints<'h>(headers: Headers<'h>) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    let framing = |name: &[u8]| is_hop_by_hop(name) || header::is_length(name);
    headers.flatten().filter(move |(name, _)| !framing(name))
}

/// As [`apply`], for a response whose content Apache takes from a file: length and range are the file's.
pub fn apply_to_file(r: &mut Request<'_>, head: &Head<'_>) {
    apply_if(r, head, |name| {
        !header::is_length(name) && !name.eq_ignore_ascii_case(b"Content-Range") && !names_a_file(name)
    });
}

/// As [`apply`], where headers that name files are no business of the client.
pub fn apply_to_client(r: &mut Request<'_>, head: &Head<'_>) {
    apply_if(r, head, |name| !names_a_file(name));
}

fn names_a_file(name: &[u8]) -> bool {
    Named::by(name, b"").is_some()
}

/// Keeps only what goes with another URL of Apache's: the content type, where that has none of its own.
pub fn apply_to_redirect(r: &mut Request<'_>, head: &Head<'_>) {
    if let Some(content_type) = value(head, b"Content-Type") {
        httpd::hand_on_content_type(r, content_type);
    }
    apply_to_error(r, head);
}

/// Whether a filter is there that puts a file in the place of this response's content (mod_xsendfile): then it is
/// Apache's own file.
pub fn is_replaced_by_a_file(r: &Request<'_>, head: &Head<'_>) -> bool {
    let names = [&b"X-Sendfile"[..], b"X-Sendfile-Temporary"];
    let asks = head.headers.clone().flatten().any(|(name, _)| names.iter().any(|n| name.eq_ignore_ascii_case(n)));
    asks && r.has_output_filter(c"xsendfile")
}

/// Keeps only what goes with Apache's own error page.
pub fn apply_to_error(r: &mut Request<'_>, head: &Head<'_>) {
    for (name, value) in head.headers.clone().flatten() {
        if name.eq_ignore_ascii_case(b"WWW-Authenticate") {
            httpd::add_error_header(r, name, value);
        }
    }
}

/// The status line for Apache. Without a reason Apache adds its own, where it has one for the number.
fn status_line(head: &Head<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(head.reason.len() + 4);
    line.extend_from_slice(Decimal::of(head.status).as_bytes());
    if !head.reason.is_empty() {
        line.push(b' ');
        line.extend_from_slice(head.reason);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsgi_wire::response::put_head;

    fn judged(status: u16, headers: &[(&str, &str)], override_errors: bool, local_redirects: bool) -> Disposition {
        with_head(status, headers, |head| judge(head, override_errors, local_redirects))
    }

    fn with_head<T>(status: u16, headers: &[(&str, &str)], check: impl FnOnce(&Head<'_>) -> T) -> T {
        let mut out = Vec::new();
        put_head(&mut out, status, b"Reason", headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
        check(&Head::decode(&out).unwrap())
    }

    #[test]
    fn responses_are_judged_by_status_and_location() {
        let local = [("location", "/x")];
        assert_eq!(judged(200, &[], false, true), Disposition::Send);
        assert_eq!(judged(200, &local, false, true), Disposition::Redirect(b"/x".to_vec()));
        assert_eq!(judged(200, &local, false, false), Disposition::Send);
        assert_eq!(judged(302, &local, false, true), Disposition::Send);
        assert_eq!(judged(200, &[("Location", "http://h/x")], false, true), Disposition::Send);
        assert_eq!(judged(404, &[], false, true), Disposition::Send);
        assert_eq!(judged(404, &[], true, true), Disposition::Replace(404));
        assert_eq!(judged(304, &[], true, true), Disposition::Send);
    }

    #[test]
    fn lengths_are_read() {
        with_head(200, &[("Content-Length", "5"), ("X-Big", "12345678")], |head| {
            assert_eq!(head.length, Some(5));
            assert_eq!(too_long(head, 100), None);
            assert_eq!(too_long(head, 15), Some(&b"Content-Length"[..]));
            assert_eq!(status_line(head), b"200 Reason");
        });
    }
}
