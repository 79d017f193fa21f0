//! The pieces into which a text is cut that is too long for a record, or for a line of a log.

/// How many bytes the text of [`continued`] takes at the most.
const MARK: usize = 40;

/// The text before each piece but the first: which one it is of how many.
pub fn continued(at: usize, count: usize) -> String {
    if at == 0 { String::new() } else { format!("... continued {}/{count}: ", at + 1) }
}

/// Cuts a text into pieces that each fit into `room` with the text of [`continued`] before them. `width` tells how much
/// room a byte takes. The text is cut behind a line end where a piece has one in its second half, and never inside of a
/// character.
pub fn pieces(text: &[u8], room: usize, width: impl Fn(u8) -> usize) -> Vec<&[u8]> {
    let room = room.saturating_sub(MARK);
    let (mut pieces, mut rest) = (Vec::new(), text);
    loop {
        let mut used = 0;
        let fits = |byte: &&u8| {
            used += width(**byte);
            used <= room
        };
        let fitting = rest.iter().take_while(fits).count();
        if fitting == rest.len() {
            pieces.push(rest);
            return pieces;
        }
        let (piece, others) = rest.split_at(cut(rest, fitting));
        pieces.push(piece);
        rest = others;
    }
}

/// Finds where to cut a text of which `fitting` bytes fit, which is not all.
fn cut(text: &[u8], fitting: usize) -> usize {
    let line = text[..fitting].iter().rposition(|b| *b == b'\n').map(|at| at + 1);
    let is_inside = |at: &usize| text[*at] & 0xc0 == 0x80;
    // A character has at most three bytes behind its first one; what has more is no UTF-8.
    let character = || (fitting.saturating_sub(3)..=fitting).rev().find(|at| !is_inside(at));
    line.filter(|at| *at > fitting / 2).or_else(character).unwrap_or(fitting).max(1)
}

/// How many bytes of a log a text takes at the most, escaped as Apache does it or as JSON does.
pub fn written(text: &[u8]) -> usize {
    let width = |byte: &u8| match byte {
        b'\n' | b'\r' | b'\t' | b'\\' | b'"' => 2,
        b' '..=b'~' => 1,
        0x80.. => 4,
        _ => 6,
    };
    text.iter().map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_line_ends_and_between_characters() {
        let plain = |_| 1;
        assert_eq!(pieces(b"short", 100, plain), [b"short"]);
        assert_eq!(pieces(b"", 100, plain), [b""]);
        let lines = "0123456789\n".repeat(40);
        let found = pieces(lines.as_bytes(), 140, plain);
        assert!(found.len() > 4 && found.iter().all(|piece| piece.len() <= 100 && piece.ends_with(b"\n")));
        assert_eq!(found.concat(), lines.as_bytes());
        let one_line = "na\u{ef}ve\u{1f600}".repeat(60);
        for room in 130..150 {
            let found = pieces(one_line.as_bytes(), room, plain);
            assert!(found.iter().all(|piece| std::str::from_utf8(piece).is_ok() && piece.len() <= room - MARK));
            assert_eq!(found.concat(), one_line.as_bytes());
        }
        assert_eq!(pieces(&[0xbf; 300], 140, plain).concat(), [0xbf; 300], "what is no UTF-8 is cut somewhere");
    }
}
