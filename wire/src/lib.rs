//! What the two halves say to each other, and nothing else: no I/O, no unsafe code, no Apache, no Python.
//!
//! * [`codec`], [`frame`]: bytes. Lengths are never trusted, nothing is allocated on a peer's word.
//! * [`names`], [`scope`], [`request`], [`response`]: one request on a connection between an Apache child and a daemon
//!   process. [`interface`]: what the application there speaks.
//! * [`header`]: what status, headers and length of a response may be; both ends keep to it.
//! * [`descriptors`]: by which numbers a program finds what it is started with.
//! * [`control`], [`settings`]: what the Apache parent tells the supervisor and the supervisor tells a daemon.
//! * [`export`]: what a collector of OpenTelemetry is told, on its way there.
//! * [`embedded`]: the same by function calls, where the engine lives in an Apache child.
//! * [`python`]: a layout of CPython that both halves need.
//! * [`scoreboard`]: what Apache's own processes do, for daemons that ask.
//! * [`ring`]: memory in which large content of a response is shared.
//! * [`table`]: the layout of the shared process table.
//! * [`status`]: what it says at one moment, for the administrator.
//! * [`recorder`]: the layout of the flight recorder of a daemon process.
//! * [`record`]: what a record of the error log consists of; [`text`] and [`json`]: the lines it becomes; [`lines`]:
//!   records out of plain text.
//! * [`message`], [`messages`]: what our programs log, by number.
//! * [`report`]: how records that belong to no request travel; [`budget`]: how much one process may log.
//!
//! Both ends are always on one machine and of one build, so numbers are in native byte order.
//!
//! Knows bytes, numbers and names. Must not know who sends or receives them, nor how.
#![forbid(unsafe_code)]

mod atomic;
pub mod budget;
pub mod codec;
pub mod control;
pub mod descriptors;
pub mod embedded;
pub mod environment;
pub mod export;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod header;
#[cfg(test)]
mod instructions;
pub mod interface;
pub mod json;
pub mod limits;
pub mod lines;
pub mod message;
pub mod messages;
pub mod names;
pub mod pieces;
pub mod python;
pub mod question;
pub mod record;
pub mod recorder;
pub mod report;
pub mod request;
pub mod response;
pub mod ring;
pub mod scope;
pub mod scoreboard;
pub mod settings;
pub mod status;
pub mod table;
pub mod text;
pub mod verdict;
pub mod websocket;

/// The version of the protocol: it changes whenever the meaning of any frame changes. `Hello` carries it, and a daemon
/// of another version refuses.
pub const VERSION: u32 = 11;
