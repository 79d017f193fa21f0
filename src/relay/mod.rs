//! The client of daemon processes: chooses a process, sends it a request, carries its answer to the client.
//!
//! Knows the process table and the protocol, and Apache only as [`client::Client`], so that a whole conversation can be
//! tested over a socket pair. Must not know httpd, directives or the environ.
#![forbid(unsafe_code)]

pub mod admission;
pub mod choice;
pub mod claim;
pub mod client;
pub mod connection;
pub mod conversation;
pub mod delivery;
pub mod group;
pub mod idle;
pub mod inbox;
#[cfg(test)]
mod instructions;
pub mod outcome;
pub mod outflow;
pub mod own_record;
pub mod passed;
pub mod queue;
pub mod records;
mod unreachable;
pub mod violation;
pub mod wait_limits;
