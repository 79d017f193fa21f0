//! Headers and masks of frames (RFC 6455 §5.2, §5.3).

use crate::close::Violation;

/// The longest header that a client's frame has, bytes: two, a length of eight and a mask of four.
pub const LONGEST_HEADER: usize = 14;

const LAST: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A frame with the next part of a message.
    Continuation,
    /// A frame with the first part of a message that is text.
    Text,
    /// A frame with the first part of a message that is bytes.
    Binary,
    /// A frame that ends the WebSocket.
    Close,
    /// A frame that asks whether the other end is there.
    Ping,
    /// A frame that answers a ping.
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    /// Whether such frames may stand between the parts of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The header of a client's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether the message ends with this frame (FIN).
    pub is_last: bool,
    /// Whether the message is compressed (RSV1, RFC 7692 §6), as its first frame says.
    pub is_compressed: bool,
    /// The kind of the frame.
    pub opcode: Opcode,
    /// The mask of its payload.
    pub mask: [u8; 4],
    /// The length of its payload, bytes.
    pub length: u64,
}

impl Header {
    /// Reads the header that the bytes begin with. Returns its own length, too; `None` if the bytes do not have all of
    /// it yet.
    ///
    /// # Errors
    /// [`Violation::Protocol`] as soon as the bytes cannot become the header of a client's frame.
    pub fn of_client(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(first) = bytes.first() else { return Ok(None) };
        let Some(opcode) = Opcode::of(first & 0x0f) else {
            return Err(Violation::Protocol("a frame has an unknown opcode"));
        };
        let (is_last, is_compressed) = (first & LAST != 0, first & COMPRESSED != 0);
        if first & RESERVED != 0 {
            return Err(Violation::Protocol("a frame has a reserved bit"));
        }
        if opcode.is_control() && (!is_last || is_compressed) {
            return Err(Violation::Protocol("a control frame is a part of a message"));
        }
        let Some(second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(Violation::Protocol("a client's frame has no mask"));
        }
        let (length, at) = match second & !MASKED {
            short @ 0..=125 => (u64::from(short), 2),
            _ if opcode.is_control() => return Err(Violation::Protocol("a control frame is too long")),
            126 => {
                let Some(length) = bytes.get(2..4).and_then(|bytes| bytes.try_into().ok()) else { return Ok(None) };
                (u64::from(u16::from_be_bytes(length)), 4)
            }
            _ => {
                let Some(length) = bytes.get(2..10).and_then(|bytes| bytes.try_into().ok()) else { return Ok(None) };
                (u64::from_be_bytes(length), 10)
            }
        };
        let is_shortest = match at {
            2 => true,
            4 => length > 125,
            _ => length > u64::from(u16::MAX) && length >> 63 == 0,
        };
        if !is_shortest {
            return Err(Violation::Protocol("a frame's length is written in another form than the shortest"));
        }
        let Some(mask) = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()) else { return Ok(None) };
        Ok(Some((Self { is_last, is_compressed, opcode, mask, length }, at + 4)))
    }
}

/// Writes the header of a server's frame, which has no mask, for a payload of `length` bytes.
pub fn put_header(out: &mut Vec<u8>, opcode: Opcode, is_last: bool, is_compressed: bool, length: usize) {
    let last = if is_last { LAST } else { 0 };
    let compressed = if is_compressed { COMPRESSED } else { 0 };
    out.push(opcode.bits() | last | compressed);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Writes a frame that is a whole message, or a control frame.
pub fn put(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    put_header(out, opcode, true, false, payload.len());
    out.extend_from_slice(payload);
}

/// Takes the mask off bytes of a payload, or puts it on. `at`: the offset of these bytes in the payload.
pub fn mask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let mut key = mask;
    key.rotate_left((at % 4) as usize);
    let word = u32::from_ne_bytes(key);
    let wide = u64::from(word) << 32 | u64::from(word);
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in words.by_ref() {
        let mut array = [0; 8];
        array.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(array) ^ wide).to_ne_bytes());
    }
    words.into_remainder().iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}

/// Reads the frames that a client has been sent, all of them whole, and what each one carries.
#[cfg(any(test, fuzzing))]
pub fn of_server(mut sent: &[u8]) -> Vec<(Header, &[u8])> {
    let mut found = Vec::new();
    while let [first, second, ..] = *sent {
        let width = match second {
            0..=125 => 2,
            126 => 4,
            _ => 10,
        };
        // As a client's, so that it can be read here.
        let length = sent.get(2..width).unwrap_or_default();
        let masked = [&[first, second | 0x80], length, &[0; 4]].concat();
        let Ok(Some((header, _))) = Header::of_client(&masked) else { panic!("what is sent is a frame") };
        let end = usize::try_from(header.length).map_or(usize::MAX, |length| width.saturating_add(length));
        found.push((header, sent.get(width..end).unwrap_or_else(|| panic!("a frame is whole"))));
        sent = &sent[end..];
    }
    assert!(sent.is_empty(), "a frame has a header");
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // §5.7: "Hello", masked.
        let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let (header, length) = Header::of_client(&bytes).unwrap().unwrap();
        assert_eq!((header.is_last, header.opcode, header.length, length), (true, Opcode::Text, 5, 6));
        mask(&mut bytes[6..], header.mask, 0);
        assert_eq!(&bytes[6..], b"Hello");
        let mut out = Vec::new();
        put(&mut out, Opcode::Text, b"Hello");
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        out.clear();
        put_header(&mut out, Opcode::Binary, true, false, 256);
        put_header(&mut out, Opcode::Binary, true, false, 65536);
        assert_eq!(out, [0x82, 0x7e, 0x01, 0x00, 0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_header_comes_in_any_pieces() {
        let whole = [0x02, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        for length in 0..whole.len() {
            assert_eq!(Header::of_client(&whole[..length]), Ok(None), "{length}");
        }
        let (header, length) = Header::of_client(&whole).unwrap().unwrap();
        assert_eq!((header.is_last, header.length, header.mask, length), (false, 65536, [1, 2, 3, 4], 14));
    }

    #[test]
    fn what_no_client_may_send() {
        for (bytes, why) in [
            (&[0x83u8, 0x80][..], "unknown opcode"),
            (&[0xa1, 0x80], "reserved"),
            (&[0x91, 0x80], "reserved"),
            (&[0x09, 0x80], "part of a message"),
            (&[0xc8, 0x80], "part of a message"),
            (&[0x81, 0x05], "no mask"),
            (&[0x89, 0xfe, 0, 126], "too long"),
            (&[0x81, 0xfe, 0, 125], "shortest"),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], "shortest"),
            (&[0x81, 0xff, 128, 0, 0, 0, 0, 1, 0, 0], "shortest"),
        ] {
            let Err(Violation::Protocol(said)) = Header::of_client(bytes) else { panic!("{bytes:?}") };
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_mask_is_the_same_however_a_payload_is_cut() {
        let text: Vec<u8> = (0..100).collect();
        let key = [7, 0, 200, 13];
        let mut whole = text.clone();
        mask(&mut whole, key, 0);
        assert!(whole.iter().zip(&text).enumerate().all(|(at, (masked, plain))| *masked == plain ^ key[at % 4]));
        for cut in 0..text.len() {
            let mut parts = text.clone();
            let (head, tail) = parts.split_at_mut(cut);
            mask(head, key, 0);
            mask(tail, key, cut as u64);
            assert_eq!(parts, whole, "{cut}");
        }
    }
}
