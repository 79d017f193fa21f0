//! Text in UTF-8 that comes in pieces.

/// The length of the longest character, bytes.
const LONGEST: usize = 4;

/// Checks a text that comes in pieces, which may end inside of a character.
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8 {
    /// The beginning of a character in which the last piece ended.
    begun: [u8; LONGEST],
    length: usize,
}

impl Utf8 {
    /// Takes a piece. Returns whether the text is UTF-8 so far; what no further bytes can make right is wrong at once.
    pub fn take(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((first, rest)) = piece.split_first() else { return true };
            self.begun[self.length] = *first;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return true };
        let begun = &piece[error.valid_up_to()..];
        if error.error_len().is_some() || begun.len() >= LONGEST {
            return false;
        }
        self.begun[..begun.len()].copy_from_slice(begun);
        self.length = begun.len();
        true
    }

    /// Whether the text may end here: not inside of a character.
    pub fn may_end(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_utf8<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut text = Utf8::default();
        pieces.into_iter().all(|piece| text.take(piece)) && text.may_end()
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            assert!(is_utf8([head, tail]), "{cut}");
        }
        assert!(is_utf8(text.chunks(1)));
        assert!(!is_utf8(text[..text.len() - 2].chunks(1)));
    }

    #[test]
    fn what_cannot_become_right_is_wrong_at_once() {
        for wrong in [&b"\xf4\x90"[..], b"\xed\xa0", b"\xc0", b"\xff", b"a\x80"] {
            let mut text = Utf8::default();
            let verdicts: Vec<bool> = wrong.chunks(1).map(|byte| text.take(byte)).collect();
            assert_eq!(verdicts.iter().position(|right| !right), Some(wrong.len() - 1), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "\\PC{0,20}".prop_map(String::into_bytes),
        ], size in 1..7usize) {
            prop_assert_eq!(is_utf8(bytes.chunks(size)), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
