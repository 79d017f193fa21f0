//! The server's end of a WebSocket (RFC 6455) without I/O: bytes go in with the time, and bytes for the client and
//! messages for the application come out.
//!
//! ```text
//! session      one WebSocket from its handshake to its end: pings, limits, who closes
//! reader       the client's bytes as messages
//! handshake    the request that asks for a WebSocket, and the head that grants it
//! extension    which extensions are used
//! deflate      messages that travel compressed (RFC 7692)
//! frame        headers and masks of frames
//! close        why a WebSocket ends
//! text         UTF-8 that comes in pieces
//! ```
//!
//! Knows the RFCs. Must not know httpd, sockets, nor how messages reach the application. A module uses only those
//! below it.
#![forbid(unsafe_code)]

pub mod close;
pub mod deflate;
pub mod extension;
pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod handshake;
mod reader;
pub mod session;
mod text;
