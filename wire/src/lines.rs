//! Text that is written to a log stream, as records: each line is one, and a traceback, with those that it is chained
//! to, is one too, so that log collectors keep it together.

use crate::limits;
use crate::record::{Level, LogRecord, Stream, Writer};

/// The end of the first line of a traceback.
const HEADER: &[u8] = b"Traceback (most recent call last):";

/// The lines between two tracebacks of a chain.
const LINKS: [&[u8]; 2] = [
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
];

/// The first line of what `logging` prints for `stack_info`.
const STACK: &[u8] = b"Stack (most recent call last):";

/// The texts of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The message: a line; empty where the traceback says it all.
    pub message: &'a [u8],
    /// A whole traceback.
    pub traceback: Option<&'a [u8]>,
}

impl Text<'_> {
    /// Makes the record: what applications print is at level error, whatever it says.
    pub fn record(self, stream: Stream, writer: Writer) -> LogRecord {
        let (message, traceback) = (self.message.into(), self.traceback.map(Into::into));
        LogRecord { level: Level::Error, stream, writer, message, traceback, origin: None }
    }
}

fn line_alone(message: &[u8]) -> Text<'_> {
    Text { message, traceback: None }
}

/// The function that takes the records.
pub type Sink<'s> = &'s mut dyn FnMut(Text<'_>);

/// The text that has not become a record yet.
#[derive(Debug, Default)]
pub struct Lines {
    /// The part of a line whose end has not come.
    partial: Vec<u8>,
    /// The line that a traceback in the same piece of text follows: the message of `logging.exception`.
    heading: Vec<u8>,
    traceback: Option<Traceback>,
}

/// A traceback that is being collected.
#[derive(Debug)]
struct Traceback {
    heading: Vec<u8>,
    text: Vec<u8>,
    part: Part,
    /// Whether the piece of text in which it became whole goes on: exceptions may have messages of several lines.
    open: bool,
    /// Whether it is printed piece by piece, so that another piece may follow.
    in_pieces: bool,
}

/// The part of a traceback that the lines so far have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The frames follow; the first line that is not indented is the exception's own.
    Frames,
    /// An exception group, or a stack: all of its lines are indented.
    Indented,
    /// The line of the exception has come.
    Whole,
    /// An empty line followed, perhaps one of a chain.
    Gap,
    /// It was one of a chain: another traceback must follow.
    Link,
}

fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), None | Some(b' ' | b'\t'))
}

/// The state of a traceback that begins with this line; `None` if none does.
fn beginning(line: &[u8]) -> Option<Part> {
    match line {
        line if line.starts_with(HEADER) => Some(Part::Frames),
        line if line.starts_with(STACK) => Some(Part::Indented),
        line if line.trim_ascii_start().starts_with(b"+ Exception Group ") && line.ends_with(HEADER) => {
            Some(Part::Indented)
        }
        _ => None,
    }
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split(|b| *b == b'\n').next().unwrap_or_default()
}

impl Traceback {
    /// Takes the line if it belongs to the traceback. Returns whether it does.
    fn takes(&mut self, line: &[u8]) -> bool {
        let next = match self.part {
            Part::Frames if line.starts_with(HEADER) => return false,
            Part::Frames if is_indented(line) => Part::Frames,
            Part::Frames => Part::Whole,
            Part::Indented if is_indented(line) => Part::Indented,
            Part::Whole if line.is_empty() => Part::Gap,
            Part::Gap if LINKS.contains(&line) => Part::Link,
            Part::Whole | Part::Gap if self.open && line.starts_with(STACK) => Part::Indented,
            Part::Whole | Part::Gap if self.open && beginning(line).is_none() => Part::Whole,
            Part::Link if line.is_empty() => Part::Link,
            Part::Link if line.starts_with(HEADER) => Part::Frames,
            Part::Indented | Part::Whole | Part::Gap | Part::Link => return false,
        };
        self.part = next;
        self.open = true;
        self.text.push(b'\n');
        self.text.extend_from_slice(line);
        true
    }
}

impl Lines {
    /// The state before any text has come.
    pub const EMPTY: Self = Self { partial: Vec::new(), heading: Vec::new(), traceback: None };

    /// Adds text; what is complete becomes records. `patient`: a traceback that is printed in pieces may be continued
    /// by the next call.
    pub fn write(&mut self, text: &[u8], patient: bool, record: Sink<'_>) {
        let mut rest = text;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.partial.extend_from_slice(&rest[..end]);
            let mut line = std::mem::take(&mut self.partial);
            rest = &rest[end + 1..];
            let heads = !line.is_empty() && beginning(first_line(rest)).is_some();
            self.line(&line, heads, record);
            line.clear();
            self.partial = line;
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > limits::LOG_RECORD {
            self.end(record);
        }
        let Some(traceback) = &mut self.traceback else { return };
        let may_be_all = matches!(traceback.part, Part::Whole | Part::Gap | Part::Indented);
        let waits = patient && traceback.in_pieces;
        (traceback.open, traceback.in_pieces) = (false, true);
        if may_be_all && !waits || traceback.text.len() > limits::LOG_RECORD {
            self.flush_traceback(record);
        }
    }

    /// Adds a line. `heads`: a traceback that belongs to it follows.
    fn line(&mut self, line: &[u8], heads: bool, record: Sink<'_>) {
        if self.traceback.as_mut().is_some_and(|traceback| traceback.takes(line)) {
            return;
        }
        self.flush_traceback(record);
        match beginning(line) {
            Some(part) => {
                let heading = std::mem::take(&mut self.heading);
                self.traceback = Some(Traceback { heading, text: line.to_vec(), part, open: true, in_pieces: false });
            }
            None if heads => self.heading = line.to_vec(),
            None => record(line_alone(line)),
        }
    }

    /// How many bytes have not become a record yet.
    pub fn unfinished(&self) -> usize {
        self.partial.len() + self.heading.len() + self.traceback.as_ref().map_or(0, |traceback| traceback.text.len())
    }

    /// Makes a record of a traceback that could still be continued.
    pub fn flush_traceback(&mut self, record: Sink<'_>) {
        if let Some(traceback) = self.traceback.take() {
            let text = traceback.text.strip_suffix(b"\n").unwrap_or(&traceback.text);
            record(Text { message: &traceback.heading, traceback: Some(text) });
        }
    }

    /// Makes a record of a line that is not complete, unless it belongs to a traceback.
    pub fn flush(&mut self, record: Sink<'_>) {
        if !self.partial.is_empty() && self.traceback.is_none() {
            record(line_alone(&std::mem::take(&mut self.partial)));
        }
    }

    /// Makes records of all that is left.
    pub fn end(&mut self, record: Sink<'_>) {
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.line(&line, false, record);
        }
        self.flush_traceback(record);
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
        let mut record = |text: Text<'_>| {
            let parts = [Some(text.message).filter(|m| !m.is_empty() || text.traceback.is_none()), text.traceback];
            let parts: Vec<_> = parts.into_iter().flatten().map(|p| String::from_utf8(p.to_vec()).unwrap()).collect();
            found.push(parts.join("|"));
        };
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
        let pieces: Vec<&str> = whole.split_inclusive('\n').collect();
        assert_eq!(records(&pieces, true), ["before", CHAIN.trim_end(), "after"]);
    }

    #[test]
    fn a_traceback_is_not_kept_back_unless_more_may_come_to_a_patient_stream() {
        let in_pieces: Vec<&str> = CHAIN.split_inclusive('\n').collect();
        for (pieces, patient, wanted) in [(vec![CHAIN], false, 1), (vec![CHAIN], true, 1), (in_pieces, true, 0)] {
            let (mut lines, mut found) = (Lines::default(), 0);
            for piece in pieces {
                lines.write(piece.as_bytes(), patient, &mut |_| found += 1);
            }
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn what_only_looks_like_the_rest_of_a_traceback_is_not() {
        let text = "Traceback (most recent call last):\n  File \"a\"\nKeyError: 1\n\nnext\n";
        let pieces: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(records(&pieces, true), ["Traceback (most recent call last):\n  File \"a\"\nKeyError: 1", "next"]);
    }

    #[test]
    fn what_is_written_at_one_stroke_with_a_traceback_stays_with_it() {
        let logged = format!("first\nERROR shop failed\n{CHAIN}and its second line\n\n# a hint\n");
        let traceback = logged.split_once("failed\n").unwrap().1.trim_end();
        for patient in [true, false] {
            let wanted = ["first", &format!("ERROR shop failed|{traceback}"), "next"];
            assert_eq!(records(&[&logged, "next\n"], patient), wanted);
        }
        let stack = "why\nStack (most recent call last):\n  File \"a\"\n    b()\n";
        assert_eq!(
            records(&[stack, "next\n"], true),
            ["why|Stack (most recent call last):\n  File \"a\"\n    b()", "next"]
        );
        let both =
            format!("no\nTraceback (most recent call last):\n  File\nE: x\n{}", stack.split_once('\n').unwrap().1);
        assert_eq!(records(&[&both], true).len(), 1);
        let two = format!("{CHAIN}{CHAIN}");
        assert_eq!(records(&[&two], true), [CHAIN.trim_end(), CHAIN.trim_end()]);
    }

    #[test]
    fn nothing_grows_without_end() {
        let long = "x".repeat(limits::LOG_RECORD + 1);
        assert!(records(&["Traceback (most recent call last):\n", &format!("  {long}\n"), "  more"], true).len() > 1);
        assert!(records(&[&long, "y"], true).len() > 1);
        for first in ["", "Traceback (most recent call last):\n"] {
            let (mut lines, mut found) = (Lines::default(), 0);
            lines.write(first.as_bytes(), true, &mut |_| found += 1);
            lines.write(&long.as_bytes()[1..], true, &mut |_| found += 1);
            assert!(found == 0 && lines.unfinished() >= limits::LOG_RECORD, "{first}");
            lines.write(b"x", true, &mut |_| found += 1);
            assert!(found > 0 && lines.unfinished() == 0, "{first}");
        }
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
        lines.write(b"half", true, &mut |text| found.push(text.message.to_vec()));
        lines.flush(&mut |text| found.push(text.message.to_vec()));
        lines.write(b"Traceback (most recent call last):\n  Fi", true, &mut |text| found.push(text.message.to_vec()));
        lines.flush(&mut |text| found.push(text.message.to_vec()));
        assert_eq!(found, [b"half"]);
    }
}
