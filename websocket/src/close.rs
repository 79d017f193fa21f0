//! The end of a WebSocket and its reason (RFC 6455 §7.4).

/// The longest reason, bytes: what remains of a control frame's 125 behind the code (RFC 6455 §5.5).
pub const LONGEST_REASON: usize = 123;

/// All is said. Also the code for an application that gives no reason.
pub const NORMAL: u16 = 1000;
/// This end goes away.
pub const GOING_AWAY: u16 = 1001;
/// The other end has broken the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The other end has closed the WebSocket without a code. Never travels.
pub const NO_CODE: u16 = 1005;
/// The connection was lost without a close. Never travels.
pub const LOST: u16 = 1006;
/// A text was not UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// A message was larger than is taken.
pub const TOO_BIG: u16 = 1009;
/// This end has failed.
pub const INTERNAL_ERROR: u16 = 1011;
/// The service restarts: the client may come back.
pub const RESTART: u16 = 1012;

/// The code and the reason of a close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code of RFC 6455 §7.4.1, or one of those in this module that never travel.
    pub code: u16,
    /// The reason: UTF-8, at most [`LONGEST_REASON`] bytes.
    pub reason: String,
}

impl Close {
    /// Makes a close without a reason.
    pub fn with_code(code: u16) -> Self {
        Self { code, reason: String::new() }
    }

    /// Reads the payload of a client's close frame.
    ///
    /// # Errors
    /// What RFC 6455 §5.5.1 and §7.4 do not allow: half a code, one that must not travel, a reason that is not UTF-8.
    pub fn of_client(payload: &[u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return match payload {
                [] => Ok(Self::with_code(NO_CODE)),
                _ => Err(Violation::Protocol("a close has half a code")),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_travel(code) {
            return Err(Violation::Protocol("a close has a code that may not be sent"));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::Text)?.to_owned();
        Ok(Self { code, reason })
    }

    /// The payload of a close frame. One without a code has none.
    pub fn payload(&self) -> Vec<u8> {
        match self.code {
            NO_CODE => Vec::new(),
            code => [&code.to_be_bytes(), self.reason.as_bytes()].concat(),
        }
    }
}

/// Whether a close frame may have the code: those that are registered for it, those of libraries (3000 to 3999) and of
/// applications (4000 to 4999).
pub fn may_travel(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// A breach of the protocol by a client. It ends the WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The client has broken RFC 6455 or 7692, in this way.
    #[error("{0}")]
    Protocol(&'static str),
    /// A text or a reason is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A message is larger than is taken.
    #[error("a message is larger than {limit} bytes")]
    TooBig {
        /// How many bytes a message may have.
        limit: usize,
    },
}

impl Violation {
    /// The code of the close that follows.
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol(_) => PROTOCOL_ERROR,
            Self::Text => INVALID_TEXT,
            Self::TooBig { .. } => TOO_BIG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_read_as_it_was_written() {
        for close in
            [Close::with_code(NO_CODE), Close::with_code(NORMAL), Close { code: 4999, reason: "na\u{ef}ve".into() }]
        {
            assert_eq!(Close::of_client(&close.payload()), Ok(close));
        }
    }

    #[test]
    fn what_may_not_travel_is_refused() {
        assert!(matches!(Close::of_client(&[3]), Err(Violation::Protocol(_))));
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535u16] {
            assert!(matches!(Close::of_client(&code.to_be_bytes()), Err(Violation::Protocol(_))), "{code}");
        }
        assert_eq!(Close::of_client(b"\x03\xe8\xff"), Err(Violation::Text));
    }
}
