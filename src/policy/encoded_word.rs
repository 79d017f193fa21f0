//! Encoded words (RFC 2047): how Django writes a header whose value has characters that no header may have.
#![forbid(unsafe_code)]

/// The text of a value that is one encoded word in UTF-8; `None` where it is none.
pub fn decode(value: &[u8]) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(b"=?")?.strip_suffix(b"?=")?;
    let mut parts = inner.splitn(3, |byte| *byte == b'?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case(b"utf-8") {
        return None;
    }
    match encoding {
        b"b" | b"B" => base64(text),
        b"q" | b"Q" => quoted(text),
        _ => None,
    }
}

/// Decodes the encoding "B": base64 of RFC 2045 §6.8.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(six), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    Some(out)
}

/// Decodes the encoding "Q" of RFC 2047 §4.2.
fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'=' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                out.push((high * 16 + low) as u8);
            }
            b'_' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_utf_8_is_decoded() {
        for word in ["=?utf-8?b?L3Nydi/FgiBhLnBkZg==?=", "=?UTF-8?Q?/srv/=C5=82_a.pdf?="] {
            assert_eq!(decode(word.as_bytes()).as_deref(), Some("/srv/\u{142} a.pdf".as_bytes()), "{word}");
        }
        for none in ["/srv/a.pdf", "=?latin-1?q?a?=", "=?utf-8?x?a?=", "=?utf-8?b?*?=", "=?utf-8?q?=4?=", "=?utf-8?q?="]
        {
            assert_eq!(decode(none.as_bytes()), None, "{none}");
        }
    }
}
