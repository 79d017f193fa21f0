//! Messages that travel compressed: permessage-deflate (RFC 7692) without context takeover, so that one [`Codec`]
//! serves any number of WebSockets in turn.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::close::Violation;

/// The end of a flushed block, which does not travel (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The length, bytes, below which messages seldom become shorter.
const WORTHWHILE: usize = 64;

/// How many bytes of an inflated message are handed on at a time.
const PIECE: usize = 64 << 10;

/// Compresses and inflates messages. Keeps nothing from one to the next, and takes no memory before the first one.
#[derive(Default)]
pub struct Codec {
    compress: Option<Compress>,
    decompress: Option<Decompress>,
    compressed: Vec<u8>,
    /// A buffer for a piece.
    inflated: Vec<u8>,
}

impl Codec {
    /// Compresses a message; `None` if that gains nothing.
    pub(crate) fn compress(&mut self, message: &[u8]) -> Option<&[u8]> {
        if message.len() < WORTHWHILE {
            return None;
        }
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        compress.reset();
        self.compressed.clear();
        // Enough for what becomes longer, nine bits for each byte: a compressor that is not done is of no more use.
        self.compressed.reserve(message.len() + message.len() / 8 + 64);
        let is_done = compress.compress_vec(message, &mut self.compressed, FlushCompress::Sync).is_ok()
            && compress.total_in() == message.len() as u64
            && self.compressed.len() < self.compressed.capacity();
        if !is_done {
            // zlib-rs does not forget in `reset` that a block is open, and writes the next message into it.
            self.compress = None;
            return None;
        }
        let content = self.compressed.strip_suffix(&TAIL)?;
        (content.len() < message.len()).then_some(content)
    }

    /// Inflates a message, and hands it on in pieces; the last one, which may be empty, is marked by `true`.
    ///
    /// # Errors
    /// A message that is not deflated, that becomes larger than `limit` bytes, or what `take` returns.
    pub(crate) fn inflate(
        &mut self,
        message: &[u8],
        limit: usize,
        mut take: impl FnMut(&[u8], bool) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let decompress = self.decompress.get_or_insert_with(|| Decompress::new(false));
        decompress.reset(false);
        self.inflated.clear();
        self.inflated.reserve_exact(PIECE);
        let mut size = 0;
        for mut part in [message, &TAIL, &[]] {
            loop {
                let (read, written) = (decompress.total_in(), self.inflated.len());
                // That there is nothing more to do is an error of zlib's, too.
                let status = match decompress.decompress_vec(part, &mut self.inflated, FlushDecompress::Sync) {
                    Err(_) if !part.is_empty() => {
                        return Err(Violation::Protocol("a compressed message is damaged"));
                    }
                    status => status.ok(),
                };
                let read = usize::try_from(decompress.total_in() - read).unwrap_or(part.len());
                let written = self.inflated.len() - written;
                part = part.get(read..).unwrap_or_default();
                size += written;
                if size > limit {
                    return Err(Violation::TooBig { limit });
                }
                if self.inflated.len() == self.inflated.capacity() {
                    take(&self.inflated, false)?;
                    self.inflated.clear();
                } else if status == Some(Status::StreamEnd) {
                    // A block that says it is the last one may be followed by others (RFC 7692 §7.2.3.5).
                    decompress.reset(false);
                } else if read == 0 && written == 0 && !part.is_empty() {
                    return Err(Violation::Protocol("a compressed message is damaged"));
                } else if part.is_empty() {
                    break;
                }
            }
        }
        take(&self.inflated, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inflated(codec: &mut Codec, message: &[u8], limit: usize) -> Result<Vec<u8>, Violation> {
        let mut whole = Vec::new();
        let mut ends = 0;
        codec.inflate(message, limit, |piece, is_last| {
            assert!(piece.len() <= PIECE);
            whole.extend_from_slice(piece);
            ends += usize::from(is_last);
            Ok(())
        })?;
        assert_eq!(ends, 1);
        Ok(whole)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mut codec = Codec::default();
        // RFC 7692 §7.2.3.1, §7.2.3.3, §7.2.3.4, §7.2.3.5 and §7.2.3.6.
        for hello in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflated(&mut codec, hello, 5).as_deref(), Ok(&b"Hello"[..]), "{hello:x?}");
            assert_eq!(inflated(&mut codec, hello, 4), Err(Violation::TooBig { limit: 4 }));
        }
        assert_eq!(inflated(&mut codec, &[0], 0).as_deref(), Ok(&b""[..]));
        assert_eq!(inflated(&mut codec, &[], 0).as_deref(), Ok(&b""[..]));
        // A window of an earlier message is not there.
        let repeated = [0xf2, 0x00, 0x11, 0x00, 0x00];
        assert!(matches!(inflated(&mut codec, &repeated, 5), Err(Violation::Protocol(_))));
    }

    #[test]
    fn a_bomb_goes_off_at_the_limit() {
        let mut codec = Codec::default();
        let message = vec![0; 10 << 20];
        let bomb = codec.compress(&message).map(<[u8]>::to_vec).unwrap();
        assert!(bomb.len() < 128 << 10, "{}", bomb.len());
        let mut taken = 0;
        let result = codec.inflate(&bomb, 1 << 20, |piece, _| {
            taken += piece.len();
            Ok(())
        });
        assert_eq!(result, Err(Violation::TooBig { limit: 1 << 20 }));
        assert!(taken <= 1 << 20);
        assert_eq!(inflated(&mut codec, &bomb, message.len()).map(|whole| whole.len()), Ok(message.len()));
    }

    #[test]
    fn what_does_not_become_shorter_travels_as_it_is() {
        let mut codec = Codec::default();
        let noise: Vec<u8> = (0..200u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(codec.compress(&noise), None);
        assert_eq!(codec.compress(b"short"), None);
    }

    proptest! {
        #[test]
        fn a_message_comes_back(text in "[a-d]{64,2000}", times in 1..8usize) {
            let message = text.repeat(times).into_bytes();
            let mut codec = Codec::default();
            let compressed = codec.compress(&message).map(<[u8]>::to_vec).unwrap();
            prop_assert_eq!(inflated(&mut codec, &compressed, message.len()), Ok(message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = inflated(&mut Codec::default(), &bytes, 1 << 20);
        }
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut codec = Codec::default();
        let mut next = 1u32;
        for round in 0..60usize {
            let length = [70, 300, 5_000, 40_000, 70_000, 131_072, 300_000][round % 7];
            let mut random = || {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (next >> 24) as u8
            };
            let noise: Vec<u8> = (0..length).map(|_| random()).collect();
            let _ = codec.compress(&noise);
            let length = [131_072, 70, 300_000, 40_000, 5_000][round % 5];
            let text: Vec<u8> = (0..length).map(|n| if n % 9 < round % 8 { random() } else { b'a' }).collect();
            if let Some(compressed) = codec.compress(&text).map(<[u8]>::to_vec) {
                assert_eq!(inflated(&mut codec, &compressed, 1 << 20).as_ref(), Ok(&text), "{round}");
            }
        }
    }
}
