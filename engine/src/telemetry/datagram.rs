//! The form of reports: datagrams of a header and fields, as mod_wsgi-telemetry reads them. All numbers are
//! little-endian. Pure.

/// The subject of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// What the requests since the last report cost.
    Requests = 2,
    /// One slow request.
    SlowRequest = 4,
    /// The process serves from now on.
    Started = 5,
    /// The process is going to end.
    Stopping = 6,
    /// The process ends.
    Stopped = 7,
    /// The state of the garbage collector of an interpreter.
    Collector = 8,
    /// One pass of a garbage collector.
    Collection = 9,
}

/// The types that fields of a datagram have.
const COUNT: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 4;
const COUNTS: u8 = 5;
const NUMBERS: u8 = 6;

/// A datagram while it is written.
#[derive(Debug)]
pub(crate) struct Datagram(Vec<u8>);

impl Datagram {
    /// Makes a datagram without fields, with its number among those of this process, and its time.
    pub(crate) fn new(kind: Kind, pid: u32, sequence: u32, stamp: f64) -> Self {
        let mut bytes = Vec::with_capacity(512);
        // The version of the format, and no flags.
        bytes.extend_from_slice(&[b'W', b'S', b'G', b'I', 1, kind as u8, 0, 0]);
        bytes.extend_from_slice(&pid.to_le_bytes());
        bytes.extend_from_slice(&sequence.to_le_bytes());
        bytes.extend_from_slice(&stamp.to_le_bytes());
        Self(bytes)
    }

    fn field(&mut self, id: u16, kind: u8) {
        self.0.extend_from_slice(&id.to_le_bytes());
        self.0.push(kind);
    }

    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u16).to_le_bytes());
    }

    /// Adds a whole number.
    pub(crate) fn count(&mut self, id: u16, value: u64) {
        self.field(id, COUNT);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a number; times are in seconds.
    pub(crate) fn number(&mut self, id: u16, value: f64) {
        self.field(id, NUMBER);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Adds a text, cut to at most `max` bytes.
    pub(crate) fn text(&mut self, id: u16, value: &[u8], max: usize) {
        let shortened = [&value[..value.len().min(max.saturating_sub(3))], b"..."].concat();
        let value = if value.len() > max { &shortened } else { value };
        self.field(id, TEXT);
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    /// Adds whole numbers, as far as the form has room for them.
    pub(crate) fn counts(&mut self, id: u16, values: impl ExactSizeIterator<Item = u64>) {
        self.field(id, COUNTS);
        self.length(values.len());
        for value in values {
            self.0.extend_from_slice(&i32::try_from(value).unwrap_or(i32::MAX).to_le_bytes());
        }
    }

    /// Adds a field that is a list of numbers.
    pub(crate) fn numbers(&mut self, id: u16, values: impl ExactSizeIterator<Item = f64>) {
        self.field(id, NUMBERS);
        self.length(values.len());
        for value in values {
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// The datagram as it is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_mod_wsgi_telemetry_reads_it() {
        let bytes = Datagram::new(Kind::Started, 0x0102_0304, 7, 1.5).0;
        assert_eq!(bytes[..8], *b"WSGI\x01\x05\0\0");
        assert_eq!(bytes[8..16], [4, 3, 2, 1, 7, 0, 0, 0]);
        assert_eq!((bytes.len(), &bytes[16..]), (24, &1.5f64.to_le_bytes()[..]));
    }

    #[test]
    fn fields_have_number_type_and_length() {
        let mut datagram = Datagram::new(Kind::Requests, 1, 1, 0.0);
        datagram.count(20, 3);
        datagram.text(5, b"a long name", 6);
        datagram.counts(110, [1, u64::MAX].into_iter());
        datagram.numbers(111, [0.5].into_iter());
        let fields = &datagram.bytes()[24..];
        assert_eq!(fields[..11], [20, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fields[11..22], *b"\x05\0\x04\x06\0a l...");
        assert_eq!(fields[22..35], [110, 0, 5, 2, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(fields[35..40], [111, 0, 6, 1, 0]);
    }
}
