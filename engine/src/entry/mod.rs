//! The ways into the engine: functions that CPython or an Apache child calls.
//!
//! Knows the C conventions of both callers, and turns their calls into calls of safe code. Must not
//! know what a call means, which is said in `daemon` and `embedded`.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub(crate) mod embedded;
pub(crate) mod extension;
