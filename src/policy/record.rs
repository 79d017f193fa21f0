//! Log records that fit into Apache's.
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// Apache cuts a line of its error log at 8 KiB (`MAX_STRING_LEN`), time stamp and client included; a traceback's last line, which says what
/// went wrong, would be what is lost.
const ROOM: usize = 8192 - 512;

const GAP: &[u8] = b" [...] ";

/// The text, its middle left out if it would not fit when Apache has escaped it.
pub fn shorten(text: &[u8]) -> Cow<'_, [u8]> {
    if text.len() * 4 <= ROOM || text.iter().map(|b| width(*b)).sum::<usize>() <= ROOM {
        return Cow::Borrowed(text);
    }
    let half = (ROOM - GAP.len()) / 2;
    let head = fitting(text.iter(), half);
    let tail = fitting(text.iter().rev(), half);
    Cow::Owned([&text[..head], GAP, &text[text.len() - tail..]].concat())
}

/// How many bytes Apache prints for one: `\n` and the like are two, other control characters and all above ASCII `\xNN`.
fn width(byte: u8) -> usize {
    match byte {
        b'\n' | b'\r' | b'\t' | b'\\' | 0x08 | 0x0b => 2,
        b' '..=b'~' => 1,
        _ => 4,
    }
}

fn fitting<'b>(bytes: impl Iterator<Item = &'b u8>, room: usize) -> usize {
    bytes
        .scan(0, |used, byte| {
            *used += width(*byte);
            (*used <= room).then_some(())
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept() {
        assert_eq!(&*shorten(b"short"), b"short");
        assert!(matches!(shorten(&[b'a'; ROOM]), Cow::Borrowed(_)));
    }

    #[test]
    fn the_ends_of_a_long_record_are_kept() {
        let long = [&b"Traceback"[..], &[b'\n'; 9000], "naïve".repeat(2000).as_bytes(), b"ValueError: x"].concat();
        let short = shorten(&long);
        assert!(short.starts_with(b"Traceback\n") && short.ends_with(b"ValueError: x"));
        assert!(short.iter().map(|b| width(*b)).sum::<usize>() <= ROOM);
        assert!(short.windows(GAP.len()).any(|w| w == GAP));
    }
}
