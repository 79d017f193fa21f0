//! The trace that a request belongs to, as `traceparent` has it (W3C Trace Context): whether somebody is told about the
//! request, and what the application is told, whose own spans then hang below ours.
#![forbid(unsafe_code)]

/// The variable of the header `traceparent`.
pub const VARIABLE: &[u8] = b"HTTP_TRACEPARENT";

/// The variable of the header `tracestate`, in which others say more about the trace.
const STATE: &[u8] = b"HTTP_TRACESTATE";

/// The length of a `traceparent` of version 00, which is what the application gets.
const LENGTH: usize = 55;

/// The places of the digits of trace, span and flags.
const PARTS: [std::ops::Range<usize>; 3] = [3..35, 36..52, 53..55];

/// The share of the traces that begin here of which a collector is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling(f64);

impl Sampling {
    /// Makes the sampling of a share, from 0 to 1.
    pub fn share(share: f64) -> Self {
        Self(share)
    }

    /// Whether a trace is in the share. Its number decides, so that whoever applies the same rule decides alike.
    fn takes(self, trace: u128) -> bool {
        // The last seven bytes are those that are by chance, whoever has made the number.
        ((trace & 0xff_ffff_ffff_ffff) as f64) < self.0 * (1u64 << 56) as f64
    }
}

/// The contents of a client's `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl Parent {
    /// Parses the header. `None` if it is not valid, so that a new trace begins.
    fn read(header: &[u8]) -> Option<Self> {
        let (version, later) = (header.get(..2)?, header.get(LENGTH));
        // A later version may have more behind a dash.
        let is_known = match version {
            b"00" => later.is_none(),
            b"ff" => false,
            _ => is_hex(version) && later.is_none_or(|byte| *byte == b'-'),
        };
        let dashes = [2, 35, 52].iter().all(|at| header.get(*at) == Some(&b'-'));
        let [trace, span, flags] = PARTS.map(|part| header.get(part).filter(|digits| is_hex(digits)));
        let number = |digits: &[u8]| u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let (trace, span, flags) = (number(trace?)?, number(span?)?, number(flags?)?);
        let is_valid = is_known && dashes && trace != 0 && span != 0;
        is_valid.then_some(Self { trace, span: span as u64, sampled: flags & 1 == 1 })
    }
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The position of a request in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The number of the trace.
    pub id: u128,
    /// The number of the request's own span.
    pub span: u64,
    /// The client's span; `None` if the trace begins here.
    pub parent: Option<u64>,
    /// Whether a collector is told about the request.
    pub sampled: bool,
}

impl Trace {
    /// Makes the trace of a request with this `traceparent`. What the client has decided about sampling holds, else
    /// `sampling` decides; `drawn` is a number drawn by chance.
    pub fn of(header: Option<&[u8]>, sampling: Sampling, drawn: [u8; 24]) -> Self {
        let drawn = drawn
            .map(u128::from)
            .into_iter()
            .fold((0u128, 0u128), |(high, low), byte| (high << 8 | low >> 120, low << 8 | byte));
        // No number is 0.
        let (span, own) = ((drawn.0 as u64).max(1), drawn.1.max(1));
        match header.and_then(Parent::read) {
            Some(Parent { trace, span: parent, sampled }) => Self { id: trace, span, parent: Some(parent), sampled },
            None => Self { id: own, span, parent: None, sampled: sampling.takes(own) },
        }
    }

    /// Whether this variable of the client's no longer holds: with another trace everything about the former is
    /// replaced.
    pub fn replaces(&self, variable: &[u8]) -> bool {
        variable == VARIABLE && self.is_ours() || variable == STATE && self.parent.is_none()
    }

    /// Whether the application gets another `traceparent` than the client has sent.
    fn is_ours(&self) -> bool {
        self.sampled || self.parent.is_none()
    }

    /// The `traceparent` for the application; `None` if what the client has sent stands.
    pub fn header(&self) -> Option<String> {
        let Self { id, span, sampled, .. } = self;
        self.is_ours().then(|| format!("00-{id:032x}-{span:016x}-{:02x}", u8::from(*sampled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn trace(header: &str, share: f64) -> Trace {
        Trace::of(Some(header.as_bytes()), Sampling::share(share), *b"abcdefghijklmnopqrstuvwx")
    }

    #[test]
    fn a_trace_goes_on_as_the_client_has_decided() {
        let own = trace(HEADER, 0.0);
        assert_eq!((own.id, own.parent, own.sampled), (TRACE, Some(0x00f0_67aa_0ba9_02b7), true));
        assert_eq!(own.span, u64::from_be_bytes(*b"abcdefgh"));
        assert_eq!(own.header().as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-6162636465666768-01"));
        let unwanted = trace(&HEADER.replace("-01", "-00"), 1.0);
        assert_eq!((unwanted.sampled, unwanted.header()), (false, None));
        assert_eq!(trace(&format!("01{}-more", &HEADER[2..]), 0.0).id, TRACE);
    }

    #[test]
    fn what_is_no_traceparent_begins_a_trace() {
        let zeros = |part: std::ops::Range<usize>| {
            let mut text = HEADER.to_owned();
            text.replace_range(part.clone(), &"0".repeat(part.len()));
            text
        };
        let [no_trace, no_span] = [zeros(3..35), zeros(36..52)];
        let upper = HEADER.to_uppercase();
        let more = format!("{HEADER}-more");
        let ff = format!("ff{}", &HEADER[2..]);
        let all = ["", "00", &HEADER[..54], &no_trace, &no_span, &upper, &more, &ff, &HEADER.replace('-', "_")];
        for header in all {
            let new = trace(header, 1.0);
            assert_eq!(new.id, u128::from_be_bytes(*b"ijklmnopqrstuvwx"), "{header}");
            assert_eq!((new.parent, new.sampled), (None, true), "{header}");
        }
    }

    #[test]
    fn a_share_of_those_that_begin_here_is_told_about() {
        let taken = |share: f64| {
            (0..=255u8).filter(move |n| {
                let mut drawn = [7; 24];
                drawn[17] = *n;
                Trace::of(None, Sampling::share(share), drawn).sampled
            })
        };
        assert_eq!(taken(0.0).count(), 0);
        assert_eq!(taken(0.25).count(), 64);
        assert_eq!(taken(1.0).count(), 256);
        let unsampled = Trace::of(None, Sampling::share(0.0), [7; 24]);
        assert!(unsampled.header().is_some_and(|header| header.ends_with("-00")));
    }
}
