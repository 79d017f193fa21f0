//! The ways into the engine: functions that CPython or an Apache child calls.
//!
//! Knows the C conventions of both callers, and turns their calls into calls of safe code. Decides nothing: what a call
//! means is said in `daemon` and `embedded`.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub(crate) mod embedded;
pub(crate) mod extension;
