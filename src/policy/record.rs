//! Log records that fit into the lines of Apache's error log.
#![forbid(unsafe_code)]

use wsgi_wire::pieces;

/// How many bytes of text one line holds. Apache cuts a line of its error log at 8 KiB (`MAX_STRING_LEN`), time stamp
/// and client included; a traceback's last line, which says what went wrong, would be lost.
const ROOM: usize = 8192 - 512;

/// Splits a text that may be too long into texts that Apache can print: each with `prefix` before it, the later ones
/// marked as continued.
pub fn pieces(prefix: &[u8], text: &[u8]) -> Vec<Vec<u8>> {
    let taken: usize = prefix.iter().map(|b| width(*b)).sum();
    // A prefix that leaves no room has its rest in the first piece, which Apache cuts: only a path of kilobytes is so
    // long.
    let room = ROOM.saturating_sub(taken).max(ROOM / 4);
    let pieces = pieces::pieces(text, room, width);
    let count = pieces.len();
    pieces
        .into_iter()
        .enumerate()
        .map(|(at, piece)| [prefix, pieces::continued(at, count).as_bytes(), piece].concat())
        .collect()
}

/// How many bytes Apache prints for one byte: two for `\n` and the like, four (`\xNN`) for other control characters and
/// all above ASCII.
fn width(byte: u8) -> usize {
    match byte {
        b'\n' | b'\r' | b'\t' | b'\\' | 0x08 | 0x0b => 2,
        b' '..=b'~' => 1,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_one_piece() {
        assert_eq!(pieces(b"[script x] ", b"short"), [b"[script x] short"]);
        assert_eq!(pieces(b"", &[b'a'; ROOM / 2]).len(), 1);
    }

    #[test]
    fn a_long_record_is_continued_and_nothing_of_it_is_lost() {
        let long = [&b"Traceback"[..], &[b'\n'; 9000], "na\u{ef}ve".repeat(2000).as_bytes(), b"ValueError: x"].concat();
        let (prefix, found) = (b"[script /a] ", pieces(b"[script /a] ", &long));
        let mut whole = Vec::new();
        for (at, piece) in found.iter().enumerate() {
            assert!(piece.iter().map(|b| width(*b)).sum::<usize>() <= ROOM);
            let text = piece.strip_prefix(prefix).unwrap();
            whole.extend_from_slice(text.strip_prefix(pieces::continued(at, found.len()).as_bytes()).unwrap());
        }
        assert_eq!(whole, long);
        assert!(found[1].starts_with(format!("[script /a] ... continued 2/{}: ", found.len()).as_bytes()));
    }
}
