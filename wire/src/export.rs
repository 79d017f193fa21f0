//! The datagrams for a collector of OpenTelemetry: Apache's children send each of their requests that was sampled, the
//! supervisor sends what the process table says of each group. Both go to the supervisor's exporter, which speaks with
//! the collector.

use crate::codec::{Bytes, DecodeError, Reader, Wire, message};
use crate::control::Export;
use crate::record::Format;
use crate::status::GroupStatus;

message! {
    /// One request, as an Apache child has served it. Texts have at most [`crate::limits::SPAN_TEXT`] bytes.
    pub struct Span {
        /// The trace, most significant half first.
        pub trace: (u64, u64),
        /// The number of the request's own span.
        pub id: u64,
        /// The number of the client's span; 0 if the trace begins here.
        pub parent: u64,
        /// When the request came, microseconds since the epoch.
        pub start: u64,
        /// When its answer had been passed to Apache, or its WebSocket had ended, microseconds since the epoch.
        pub end: u64,
        /// The status that the client gets.
        pub status: u32,
        /// The code with which its WebSocket has ended; 0 for none.
        pub close: u32,
        /// How many spans this Apache child could not send since the last one.
        pub lost: u32,
        /// The method, such as `GET`.
        pub method: Bytes,
        /// The path of the URL.
        pub path: Bytes,
        /// The SCRIPT_NAME: where the application is mounted.
        pub mount: Bytes,
        /// The scheme: `http` or `https`.
        pub scheme: Bytes,
        /// The name of the server.
        pub server: Bytes,
        /// The port of the server.
        pub port: u32,
        /// The protocol, such as `HTTP/1.1`.
        pub protocol: Bytes,
        /// The client's address.
        pub client: Bytes,
        /// The header `User-Agent`.
        pub user_agent: Bytes,
        /// The process group; empty is embedded mode.
        pub process_group: Bytes,
        /// The application group; empty is the main interpreter.
        pub application_group: Bytes,
    }
}

message! {
    /// The figures of a group, which the status pages have, too.
    pub struct Figures {
        /// When the server was started, seconds since the epoch: the figures are counted from then on.
        pub started: u64,
        /// The figures of the group.
        pub group: GroupStatus,
    }
}

/// One datagram for the exporter.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "each is looked at once")]
pub enum Datagram {
    /// The datagram is about a request.
    Span(Span),
    /// The datagram is about a group.
    Figures(Figures),
}

const SPAN: u8 = 0;
const FIGURES: u8 = 1;

impl Wire for Datagram {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Span(span) => {
                out.push(SPAN);
                span.put(out);
            }
            Self::Figures(figures) => {
                out.push(FIGURES);
                figures.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::get(from)? {
            SPAN => Span::get(from).map(Self::Span),
            FIGURES => Figures::get(from).map(Self::Figures),
            kind => Err(DecodeError::Unknown(kind.into())),
        }
    }
}

/// The argument by which the supervisor's program becomes the exporter.
pub const EXPORTER: &str = "--exporter";

/// The settings that the exporter gets on its command line, in this order, before the attributes (`KEY=VALUE`).
#[derive(Debug, Clone, PartialEq)]
pub struct Exporter {
    /// The collector, and what it gets.
    pub export: Export,
    /// The form in which the exporter's own records are written.
    pub format: Format,
}

impl Exporter {
    /// Returns the words of the command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let Export { authority, path, interval, resource } = &self.export;
        let fixed = [EXPORTER.to_owned(), authority.clone(), path.clone(), interval.to_string()];
        let format = self.format.name().to_owned();
        let resource = resource.iter().map(|(key, value)| format!("{key}={value}"));
        fixed.into_iter().chain([format]).chain(resource).collect()
    }

    /// Reads the words behind [`EXPORTER`].
    #[must_use]
    pub fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (authority, path) = (words.next()?, words.next()?);
        let interval = words.next()?.parse().ok()?;
        let format = words.next()?;
        let format = [Format::Text, Format::Json].into_iter().find(|known| known.name() == format)?;
        let attribute = |word: String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resource = words.map(attribute).collect::<Option<_>>()?;
        Some(Self { export: Export { authority, path, interval, resource }, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporter_reads_what_it_is_told() {
        let told = Exporter {
            export: Export {
                authority: "localhost:4318".into(),
                path: String::new(),
                interval: 60,
                resource: vec![("service.name".into(), "a=b".into())],
            },
            format: Format::Json,
        };
        let mut words = told.words().into_iter();
        assert_eq!(words.next().as_deref(), Some(EXPORTER));
        assert_eq!(Exporter::read(words), Some(told));
    }
}
