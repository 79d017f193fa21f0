//! The progress of the response to one request: when its head is committed, which length it has, how much of its
//! content is sent. Pure.

use wsgi_wire::header;
use wsgi_wire::header::HintsLeft;

use crate::request::response_head::{Head, HeadError};

/// The progress of the response to one request.
#[derive(Debug, Default)]
pub(crate) struct Response {
    start: Option<Head>,
    /// The status that was last given, also after the head has left.
    pub(crate) status: Option<u16>,
    committed: bool,
    /// Bytes of the declared length that are still to come.
    left: Option<u64>,
    /// Whether the client asked for the head only.
    head_request: bool,
    content_allowed: bool,
    hints: HintsLeft,
    /// Whether hints have been left out already.
    hints_left_out: bool,
}

/// The fate of early hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hints {
    /// The hints are sent.
    Sent,
    /// They are too many or too long: they and all later ones are left out, which this call is the first to say.
    FirstLeftOut,
    /// They are left out, as others before.
    LeftOut,
}

/// Why content cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    /// There is no head yet; in Python a `RuntimeError`.
    #[error("start_response() must be called before response content is produced")]
    NotStarted,
    /// The head is invalid; in Python a `ValueError`.
    #[error(transparent)]
    Invalid(#[from] HeadError),
}

impl Response {
    /// Begins a response; `head_request`: the method of the request is HEAD.
    pub(crate) fn new(head_request: bool) -> Self {
        Self { head_request, ..Self::default() }
    }

    /// Takes note of what `start_response` was given; until the head is committed a later call replaces an earlier one.
    pub(crate) fn start(&mut self, head: Head) {
        self.status = Some(head.status);
        self.start = Some(head);
    }

    /// Whether the head has left, so that status and headers are settled.
    pub(crate) fn committed(&self) -> bool {
        self.committed
    }

    /// Whether it is the usual response, whose content is all there is: what a file may become of which Apache sends
    /// parts.
    pub(crate) fn is_plain(&self) -> bool {
        let is_part = |(name, _): (&[u8], &[u8])| name.eq_ignore_ascii_case(b"Content-Range");
        self.start.as_ref().is_some_and(|head| head.status == 200 && !head.headers().any(is_part))
    }

    /// Settles the head and gives it out for sending. `content` is the length of the whole body where that is known; it
    /// is declared unless the application did so itself.
    ///
    /// # Errors
    /// If there is no head, or its Content-Length is no length.
    pub(crate) fn commit(&mut self, content: Option<u64>) -> Result<Head, ResponseError> {
        let mut head = self.start.take().ok_or(ResponseError::NotStarted)?;
        let declared = head.frame()?;
        self.committed = true;
        self.content_allowed = header::has_content(head.status);
        self.left = declared;
        // An application may leave out the body of a HEAD request; then nothing is known about its length.
        let known = content.filter(|n| declared.is_none() && self.content_allowed && (*n > 0 || !self.head_request));
        if let Some(length) = known {
            head.declare(length);
            self.left = Some(length);
        }
        Ok(head)
    }

    /// Takes note of early hints that take this many bytes on the wire.
    pub(crate) fn hint(&mut self, bytes: usize) -> Hints {
        if self.hints_left_out {
            return Hints::LeftOut;
        }
        self.hints_left_out = !self.hints.take(bytes);
        if self.hints_left_out { Hints::FirstLeftOut } else { Hints::Sent }
    }

    /// How many of the next `length` bytes belong to the response: none beyond the declared length.
    pub(crate) fn admit(&mut self, length: u64) -> u64 {
        let admitted = self.left.map_or(length, |left| left.min(length));
        self.left = self.left.map(|left| left - admitted);
        admitted
    }

    /// Whether less came than was declared, so that the client must be told that the response is not whole.
    pub(crate) fn is_short(&self) -> bool {
        self.left.is_some_and(|left| left > 0) && !self.head_request && self.content_allowed
    }
}

#[cfg(test)]
mod tests {
    use wsgi_wire::limits;

    use super::*;

    #[test]
    fn hints_beyond_their_bound_are_left_out_and_that_is_said_once() {
        let mut response = Response::new(false);
        assert!((0..limits::HINTS).all(|_| response.hint(10) == Hints::Sent));
        assert_eq!([response.hint(10), response.hint(10)], [Hints::FirstLeftOut, Hints::LeftOut]);
        assert_eq!(Response::new(false).hint(limits::HINTS_BYTES + 1), Hints::FirstLeftOut);
    }

    fn started(headers: &[(&str, &str)]) -> Response {
        let mut head = Head::new(b"200 OK").unwrap();
        for (name, value) in headers {
            head.push(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let mut response = Response::new(false);
        response.start(head);
        response
    }

    fn length(head: &Head) -> Vec<&[u8]> {
        head.headers().filter(|(n, _)| n.eq_ignore_ascii_case(b"content-length")).map(|(_, v)| v).collect()
    }

    #[test]
    fn a_known_length_is_declared_once() {
        assert_eq!(length(&started(&[]).commit(Some(5)).unwrap()), [b"5"]);
        assert_eq!(length(&started(&[]).commit(Some(0)).unwrap()), [b"0"]);
        assert_eq!(length(&started(&[]).commit(None).unwrap()), [b""; 0]);
        assert_eq!(length(&started(&[("content-length", "3")]).commit(Some(5)).unwrap()), [b"3"]);
        assert_eq!(length(&started(&[("Content-Length", "3"), ("content-length", "3")]).commit(None).unwrap()), [b"3"]);
    }

    #[test]
    fn no_length_where_no_content_may_be() {
        let mut response = Response::new(false);
        response.start(Head::new(b"204 No Content").unwrap());
        assert_eq!(length(&response.commit(Some(0)).unwrap()), [b""; 0]);
        let mut response = Response::new(true);
        response.start(Head::new(b"200 OK").unwrap());
        assert_eq!(length(&response.commit(Some(0)).unwrap()), [b""; 0]);
    }

    #[test]
    fn lengths_that_are_none() {
        for value in ["abc", "-5", "+5", "5x", "5 ", "5,5", "0x5", "1e1", "", "999999999999999999999999999999"] {
            assert!(started(&[("Content-Length", value)]).commit(None).is_err(), "{value:?}");
        }
        assert_eq!(length(&started(&[("Content-Length", " \t5")]).commit(None).unwrap()), [b"5"]);
        assert!(started(&[("Content-Length", "x"), ("Content-Length", "4")]).commit(None).is_err());
    }

    #[test]
    fn of_several_lengths_the_last_one_counts() {
        let mut response = started(&[("Content-Length", "5"), ("X", "y"), ("content-length", "3")]);
        assert_eq!(length(&response.commit(None).unwrap()), [b"3"]);
        assert_eq!(response.admit(9), 3);
    }

    #[test]
    fn the_transfer_coding_is_not_the_applications() {
        assert!(
            started(&[("Transfer-Encoding", "chunked")])
                .commit(Some(5))
                .unwrap()
                .headers()
                .all(|(n, _)| n != b"Transfer-Encoding")
        );
    }

    #[test]
    fn content_beyond_the_declared_length_is_left_out() {
        let mut response = started(&[("Content-Length", "5")]);
        response.commit(None).unwrap();
        assert_eq!([response.admit(3), response.admit(5), response.admit(3)], [3, 2, 0]);
        assert!(!response.is_short());
    }

    #[test]
    fn content_that_falls_short_is_noticed() {
        let mut response = started(&[("Content-Length", "5")]);
        response.commit(None).unwrap();
        assert_eq!(response.admit(3), 3);
        assert!(response.is_short());
    }

    #[test]
    fn nothing_can_be_sent_before_start_response() {
        assert_eq!(Response::new(false).commit(None), Err(ResponseError::NotStarted));
    }
}
