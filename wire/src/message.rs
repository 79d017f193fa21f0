//! A message that our programs log, and the topic of a record. The messages are in [`crate::messages`].

use std::fmt;

use crate::record::{Level, LogRecord, Stream, Writer};

/// A message of the table.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The number by which a log names the message.
    pub number: u16,
    /// The level of its records.
    pub level: Level,
    /// The text of its records. `{…}` stands for the parts that differ.
    pub text: &'static str,
    /// The cause of the message.
    pub cause: &'static str,
    /// The cure: what an administrator can do about it.
    pub cure: &'static str,
}

impl Message {
    /// Whether the text of a record, its number left out, is one of this message: it has all parts that do not differ,
    /// in order.
    #[must_use]
    pub fn fits(&self, said: &str) -> bool {
        let mut fixed = self.text.split('{').map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed));
        let Some(mut rest) = said.strip_prefix(fixed.next().unwrap_or_default()) else { return false };
        fixed.all(|part| match rest.split_once(part) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }
}

impl fmt::Display for Message {
    /// Writes the name of the message, as records have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WSGI{:04}", self.number)
    }
}

/// The topic of a record of ours: a message of the table, or something too ordinary to be in it.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    level: Level,
    message: Option<&'static Message>,
}

impl Topic {
    /// The topic of the ordinary life of processes.
    pub const INFO: Self = Self { level: Level::Info, message: None };
    /// The topic of details for those who look for a fault.
    pub const DEBUG: Self = Self { level: Level::Debug, message: None };

    /// The level of records on this topic.
    #[must_use]
    pub fn level(self) -> Level {
        self.level
    }

    /// Makes the text of a record on this topic.
    #[must_use]
    pub fn titled(self, text: &str) -> String {
        self.message.map_or_else(|| text.to_owned(), |message| format!("{message}: {text}"))
    }
}

impl From<&'static Message> for Topic {
    fn from(message: &'static Message) -> Self {
        Self { level: message.level, message: Some(message) }
    }
}

impl LogRecord {
    /// Makes a record of our own about a message of the table, or about something ordinary ([`Topic`]). The first line
    /// of the text is the message; what follows is a traceback, or stacks.
    pub fn ours(topic: impl Into<Topic>, writer: Writer, text: &str) -> Self {
        let topic = topic.into();
        let (message, traceback) = match text.split_once('\n') {
            Some((message, traceback)) => (message, Some(traceback.into())),
            None => (text, None),
        };
        let message = topic.titled(message).as_str().into();
        Self { level: topic.level(), stream: Stream::Ours, writer, message, traceback, origin: None }
    }
}

/// Defines messages, and `ALL` of them.
macro_rules! messages {
    ($($number:literal $name:ident $level:ident: $text:literal, $cause:literal, $cure:literal;)+) => {
        $(
            #[doc = $text]
            pub static $name: $crate::message::Message = $crate::message::Message {
                number: $number,
                level: $crate::record::Level::$level,
                text: $text,
                cause: $cause,
                cure: $cure,
            };
        )+

        /// The messages of this part, by their numbers.
        pub static ALL: &[&$crate::message::Message] = &[$(&$name),+];
    };
}
pub(crate) use messages;
