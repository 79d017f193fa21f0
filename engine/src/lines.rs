//! Text that is written to a log stream, as records: a line is one, and a traceback, with those that it is chained to, is one too, so that log
//! collectors keep it together. Pure.

/// How the first line of a traceback ends.
const HEADER: &[u8] = b"Traceback (most recent call last):";

/// What stands between two tracebacks of a chain.
const LINKS: [&[u8]; 2] = [
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
];

/// The text that has not become a record yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The line that is not complete.
    partial: Vec<u8>,
    traceback: Option<Traceback>,
}

/// A traceback that is being collected.
#[derive(Debug)]
struct Traceback {
    text: Vec<u8>,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Its frames; the first line that is not indented is the exception's own.
    Frames,
    /// An exception group: everything of it is indented.
    Group,
    /// The exception's line is there.
    Whole,
    /// An empty line followed, maybe of a chain.
    Gap,
    /// So it was: another traceback must follow.
    Link,
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), None | Some(b' ' | b'\t'))
}

impl Traceback {
    fn begins(line: &[u8]) -> Option<Self> {
        let part = match line {
            line if line.starts_with(HEADER) => Part::Frames,
            line if line.trim_ascii_start().starts_with(b"+ Exception Group ") && line.ends_with(HEADER) => Part::Group,
            _ => return None,
        };
        Some(Self { text: line.to_vec(), part })
    }

    /// Takes the line if it belongs here.
    fn takes(&mut self, line: &[u8]) -> bool {
        let next = match self.part {
            Part::Frames if line.starts_with(HEADER) => return false,
            Part::Frames if is_indented(line) => Part::Frames,
            Part::Frames => Part::Whole,
            Part::Group if is_indented(line) => Part::Group,
            Part::Whole if line.is_empty() => Part::Gap,
            Part::Gap if LINKS.contains(&line) => Part::Link,
            Part::Link if line.is_empty() => Part::Link,
            Part::Link if line.starts_with(HEADER) => Part::Frames,
            Part::Group | Part::Whole | Part::Gap | Part::Link => return false,
        };
        self.part = next;
        self.text.push(b'\n');
        self.text.extend_from_slice(line);
        true
    }
}

impl Lines {
    /// Adds text; what is complete becomes records. `patient`: a traceback may be continued by the next call, if it was printed in pieces.
    pub(crate) fn write(&mut self, text: &[u8], patient: bool, record: &mut dyn FnMut(&[u8])) {
        let mut rest = text;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.partial.extend_from_slice(&rest[..end]);
            let mut line = std::mem::take(&mut self.partial);
            self.line(&line, record);
            line.clear();
            self.partial = line;
            rest = &rest[end + 1..];
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > wsgi_wire::limits::LOG_RECORD {
            self.end(record);
        }
        if !patient && self.traceback.as_ref().is_some_and(|t| matches!(t.part, Part::Whole | Part::Group)) {
            self.settle(record);
        }
    }

    fn line(&mut self, line: &[u8], record: &mut dyn FnMut(&[u8])) {
        if self.traceback.as_mut().is_some_and(|traceback| traceback.takes(line)) {
            return;
        }
        self.settle(record);
        self.traceback = Traceback::begins(line);
        if self.traceback.is_none() {
            record(line);
        }
    }

    /// Makes a record of a traceback that could still be continued.
    pub(crate) fn settle(&mut self, record: &mut dyn FnMut(&[u8])) {
        if let Some(traceback) = self.traceback.take() {
            record(traceback.text.strip_suffix(b"\n").unwrap_or(&traceback.text));
        }
    }

    /// Makes a record of a line that is not complete, unless it belongs to a traceback.
    pub(crate) fn flush(&mut self, record: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() && self.traceback.is_none() {
            record(&std::mem::take(&mut self.partial));
        }
    }

    /// Makes records of all that is left.
    pub(crate) fn end(&mut self, record: &mut dyn FnMut(&[u8])) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, record);
        }
        self.settle(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: &str = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n\
        During handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  File \"b.py\", line 2, in h\n    i()\nValueError: no\n";

    fn records(pieces: &[&str], patient: bool) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut record = |text: &[u8]| found.push(String::from_utf8(text.to_vec()).unwrap());
        for piece in pieces {
            lines.write(piece.as_bytes(), patient, &mut record);
        }
        lines.end(&mut record);
        found
    }

    #[test]
    fn each_line_is_a_record() {
        assert_eq!(records(&["a", "b\nc\n", "\nd"], false), ["ab", "c", "", "d"]);
    }

    #[test]
    fn a_traceback_with_its_chain_is_one() {
        let whole = format!("before\n{CHAIN}after\n");
        assert_eq!(records(&[&whole], false), ["before", CHAIN.trim_end(), "after"]);
        let pieces: Vec<&str> = whole.split_inclusive('\n').collect();
        assert_eq!(records(&pieces, true), ["before", CHAIN.trim_end(), "after"]);
    }

    #[test]
    fn an_impatient_stream_does_not_keep_a_whole_traceback_back() {
        let (mut lines, mut found) = (Lines::default(), 0);
        lines.write(CHAIN.as_bytes(), false, &mut |_| found += 1);
        assert_eq!(found, 1);
    }

    #[test]
    fn what_only_looks_like_the_rest_of_a_traceback_is_not() {
        let text = "Traceback (most recent call last):\n  File \"a\"\nKeyError: 1\n\nnext\n";
        assert_eq!(records(&[text], true), ["Traceback (most recent call last):\n  File \"a\"\nKeyError: 1", "next"]);
    }

    #[test]
    fn an_exception_group_ends_with_its_indentation() {
        let text = "  + Exception Group Traceback (most recent call last):\n  | File \"a\"\n  +----\nnext\n";
        assert_eq!(records(&[text], true).len(), 2);
    }

    #[test]
    fn a_traceback_that_is_cut_off_is_a_record_at_the_end() {
        assert_eq!(
            records(&["Traceback (most recent call last):\n  File"], true),
            ["Traceback (most recent call last):\n  File"]
        );
    }

    #[test]
    fn flushing_ends_a_line_but_not_a_traceback() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        lines.write(b"half", true, &mut |text| found.push(text.to_vec()));
        lines.flush(&mut |text| found.push(text.to_vec()));
        lines.write(b"Traceback (most recent call last):\n  Fi", true, &mut |text| found.push(text.to_vec()));
        lines.flush(&mut |text| found.push(text.to_vec()));
        assert_eq!(found, [b"half"]);
    }
}
