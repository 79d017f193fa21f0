//! The rules for status, reason, header lines and length of a response, by which a client takes it for exactly one
//! response. The engine refuses by them what an application gives it; the Apache child refuses by the same rules what a
//! daemon process sends, because an application can write to its process's connections itself.

use crate::limits;

/// Whether a response may have this status: interim ones are Apache's own (RFC 9110, 15).
pub fn is_final(status: u16) -> bool {
    (200..=999).contains(&status)
}

/// Whether this is the status of a failure, for which Apache has a page.
pub fn is_failure(status: u16) -> bool {
    (400..600).contains(&status)
}

/// Whether a response with this status has content at all (RFC 9110, 15.3.5 and 15.4.5).
pub fn has_content(status: u16) -> bool {
    !matches!(status, 204 | 304)
}

/// Whether these bytes may stand in a status line as its reason: no control character.
pub fn is_reason(reason: &[u8]) -> bool {
    !reason.iter().any(u8::is_ascii_control)
}

/// Whether these bytes are the name of a header: a token (RFC 9110, 5.1).
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Whether these bytes may be the value of a header: no control character but the tab (RFC 9110, 5.5).
pub fn is_value(value: &[u8]) -> bool {
    !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Whether a header of this name may follow the content of a response: none that says how that is framed, or what it is
/// (RFC 9110, 6.5.1).
pub fn may_trail(name: &[u8]) -> bool {
    const BEFORE: [&[u8]; 12] = [
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"host",
        b"keep-alive",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    !BEFORE.iter().any(|before| name.eq_ignore_ascii_case(before))
}

/// Whether this is the name of the header that says how long the content is.
#[inline]
pub fn is_length(name: &[u8]) -> bool {
    const NAME: &[u8] = b"Content-Length";
    // Nearly all that have its length spell it like this.
    name.len() == NAME.len() && (name == NAME || name.eq_ignore_ascii_case(NAME))
}

/// The number of bytes that a Content-Length announces: digits and nothing else, up to what Apache counts, which is a
/// signed 64-bit number.
pub fn length(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let length = value.iter().try_fold(0u64, |length, byte| length.checked_mul(10)?.checked_add(digit(byte)?))?;
    (!value.is_empty() && length <= i64::MAX as u64).then_some(length)
}

/// The characters `tchar` of RFC 9110, 5.6.2, by byte.
const TOKEN: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let (others, mut at) = (b"!#$%&'*+-.^_`|~", 0);
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

/// How many more early hints one request may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintsLeft {
    messages: usize,
    bytes: usize,
}

impl Default for HintsLeft {
    fn default() -> Self {
        Self { messages: limits::HINTS, bytes: limits::HINTS_BYTES }
    }
}

impl HintsLeft {
    /// Takes one message of this many bytes, headers with the lengths in front of them. Returns whether there was still
    /// room for it.
    pub fn take(&mut self, bytes: usize) -> bool {
        let (Some(messages), Some(left)) = (self.messages.checked_sub(1), self.bytes.checked_sub(bytes)) else {
            return false;
        };
        (self.messages, self.bytes) = (messages, left);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        for name in ["X", "Content-Type", "!#$%&'*+-.^_`|~09azAZ"] {
            assert!(is_name(name.as_bytes()), "{name:?}");
        }
        for name in ["", " X", "X ", "X:", "X\r\n", "X\0", "X\u{e9}", "X\x7f", "(X)", "X\tY"] {
            assert!(!is_name(name.as_bytes()), "{name:?}");
        }
    }

    #[test]
    fn values_and_reasons_keep_to_their_line() {
        for byte in 0..=255u8 {
            let control = byte < 0x20 || byte == 0x7f;
            assert_eq!(is_value(&[b'a', byte]), !control || byte == b'\t', "{byte}");
            assert_eq!(is_reason(&[b'a', byte]), !control, "{byte}");
        }
        assert!(is_value(b"") && is_reason(b""));
    }

    #[test]
    fn a_length_is_digits_alone() {
        assert_eq!(length(b"0"), Some(0));
        assert_eq!(length(b"007"), Some(7));
        assert_eq!(length(b"9223372036854775807"), Some(i64::MAX as u64));
        for value in ["", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1e1", "9223372036854775808", "99999999999999999999999"]
        {
            assert_eq!(length(value.as_bytes()), None, "{value:?}");
        }
    }

    #[test]
    fn statuses_of_responses_and_of_failures() {
        let all = |rule: fn(u16) -> bool| (0..=1000).filter(|status| rule(*status)).collect::<Vec<u16>>();
        assert_eq!(all(is_final), (200..=999).collect::<Vec<_>>());
        assert_eq!(all(is_failure), (400..=599).collect::<Vec<_>>());
        assert_eq!(all(|status| !has_content(status)), [204, 304]);
    }

    #[test]
    fn hints_end_with_their_number_or_their_bytes() {
        let mut left = HintsLeft::default();
        assert!((0..limits::HINTS).all(|_| left.take(1)) && !left.take(1));
        let mut left = HintsLeft::default();
        assert!(left.take(limits::HINTS_BYTES) && !left.take(1));
        assert!(!HintsLeft::default().take(limits::HINTS_BYTES + 1));
    }
}
