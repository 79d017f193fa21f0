//! The client of daemon processes: chooses a process, sends it a request, carries its answer to the client.
//!
//! Knows the process table and the protocol, and Apache only as [`client::Client`], so that a whole conversation can be
//! tested over a socket pair. Must not know httpd, directives or the environ. Where there are no daemon processes
//! (Windows), what embedded mode has of it is the client and what becomes of its request.
#![forbid(unsafe_code)]

pub mod admission;
#[cfg(unix)]
pub mod choice;
#[cfg(unix)]
pub mod claim;
pub mod client;
#[cfg(unix)]
pub mod connection;
#[cfg(unix)]
pub mod conversation;
#[cfg(unix)]
pub mod delivery;
#[cfg(unix)]
pub mod group;
#[cfg(unix)]
pub mod idle;
#[cfg_attr(windows, path = "windows/inbox.rs")]
pub mod inbox;
#[cfg(test)]
mod instructions;
pub mod outcome;
#[cfg_attr(windows, path = "windows/outflow.rs")]
pub mod outflow;
pub mod own_record;
#[cfg(unix)]
pub mod passed;
pub mod peer;
#[cfg(unix)]
pub mod queue;
#[cfg(unix)]
pub mod records;
#[cfg(unix)]
pub mod ring;
pub mod scratch;
#[cfg(unix)]
pub mod seat;
pub mod sendable;
#[cfg(unix)]
mod unreachable;
pub mod violation;
#[cfg(unix)]
pub mod wait_limits;
#[cfg(unix)]
pub mod websocket;
