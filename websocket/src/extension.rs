//! The extensions of a WebSocket: `Sec-WebSocket-Extensions` (RFC 6455 §9.1) and permessage-deflate (RFC 7692 §7.1).

/// The answer to a client whose offer of permessage-deflate is taken. Neither end keeps its window from message to
/// message: that would cost some 300 KiB for each WebSocket.
pub const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The header is not a list of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Whether one of the offers in the values of `Sec-WebSocket-Extensions` is permessage-deflate with parameters that
/// [`DEFLATE`] may answer.
///
/// # Errors
///
/// [`Malformed`]: the handshake fails (RFC 6455 §9.1).
pub fn offers_deflate(value: &[u8]) -> Result<bool, Malformed> {
    let mut rest = value;
    let mut is_offered = false;
    loop {
        // Empty elements of a list are nothing (RFC 9110 §5.6.1).
        rest = trim(rest);
        match rest.split_first() {
            None => return Ok(is_offered),
            Some((b',', behind)) => rest = behind,
            Some(_) => {
                let (offer, behind) = Offer::first_of(rest)?;
                is_offered |= offer.is_deflate && offer.is_acceptable;
                rest = behind;
            }
        }
    }
}

/// One element of the list, as far as it is needed.
struct Offer {
    is_deflate: bool,
    is_acceptable: bool,
}

impl Offer {
    /// Reads the offer that the text begins with. Returns what follows it, too.
    fn first_of(text: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let (name, mut rest) = token(text)?;
        let is_deflate = name.eq_ignore_ascii_case(b"permessage-deflate");
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut is_acceptable = true;
        loop {
            rest = trim(rest);
            match rest.split_first() {
                None | Some((b',', _)) => return Ok((Self { is_deflate, is_acceptable }, rest)),
                Some((b';', behind)) => {
                    let (name, behind) = token(trim(behind))?;
                    let (value, behind) = value(trim(behind))?;
                    is_acceptable &=
                        is_known(name, value) && !seen.iter().any(|other| other.eq_ignore_ascii_case(name));
                    seen.push(name);
                    rest = behind;
                }
                Some(_) => return Err(Malformed),
            }
        }
    }
}

/// Whether a parameter of permessage-deflate is one that [`DEFLATE`] may answer. A client that wants the server's
/// window to be smaller cannot have that; one that may make its own window smaller can.
fn is_known(name: &[u8], value: Option<&[u8]>) -> bool {
    let bits = |value: &[u8]| matches!(value, b"8" | b"9" | b"10" | b"11" | b"12" | b"13" | b"14" | b"15");
    match name.to_ascii_lowercase().as_slice() {
        b"server_no_context_takeover" | b"client_no_context_takeover" => value.is_none(),
        b"client_max_window_bits" => value.is_none_or(bits),
        b"server_max_window_bits" => value == Some(b"15"),
        _ => false,
    }
}

/// Reads the token (RFC 9110 §5.6.2) that the text begins with. Returns what follows it, too.
fn token(text: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let length = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    if length == 0 { Err(Malformed) } else { Ok(text.split_at(length)) }
}

/// Reads the value of a parameter behind its name, if it has one. Returns what follows it, too.
fn value(text: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Malformed> {
    let Some((b'=', behind)) = text.split_first() else { return Ok((None, text)) };
    let behind = trim(behind);
    let Some((b'"', quoted)) = behind.split_first() else {
        let (value, behind) = token(behind)?;
        return Ok((Some(value), behind));
    };
    // What is quoted has to be a token, too (RFC 6455 §9.1).
    let (value, behind) = token(quoted)?;
    let Some((b'"', behind)) = behind.split_first() else { return Err(Malformed) };
    Ok((Some(value), behind))
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    &text[text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len())..]
}

/// Whether a byte may stand in a token.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_offer_is_taken() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "Permessage-Deflate;client_max_window_bits=12 , x-other",
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=\"15\"",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ] {
            assert_eq!(offers_deflate(offer.as_bytes()), Ok(true), "{offer}");
        }
    }

    #[test]
    fn what_cannot_be_granted_is_declined() {
        for offer in [
            "",
            " , ,",
            "x-other; a=b",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; unknown",
        ] {
            assert_eq!(offers_deflate(offer.as_bytes()), Ok(false), "{offer}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["a b", ";", "a;", "a; b=", "a; b=\"c", "a; b=\"c d\"", "a; b c", "a=b", "\u{e9}"] {
            assert_eq!(offers_deflate(text.as_bytes()), Err(Malformed), "{text}");
        }
    }
}
