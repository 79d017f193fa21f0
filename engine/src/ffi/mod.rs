//! The only place, with `entry`, that touches CPython's C API and raw memory. Everything else is safe code.
//!
//! Knows how to call C soundly, and which promise each call needs. Must not know what it is called for: where something
//! above has to be called back, a function is handed in.
//!
//! * [`attach`]: which GIL a thread holds; the only maker of `Python` tokens besides [`guard`].
//! * [`guard`]: the way in for every function that CPython calls.
//! * [`class`]: Python types written in Rust, [`arguments`] and [`instance`] of their methods, the [`classes`] of one
//!   interpreter.
//! * [`owned`]: references that outlive an attach.
//! * [`object`], [`interpreter`], [`runtime`]: calls of the C API that pyo3 has no safe form of.
//! * [`host`]: the Apache child of embedded mode.
//! * [`scoreboard`]: Apache's scoreboard.
//! * Of daemon processes, on Unix: `process`: process title, signal handlers, the slot of the process table.
//!   `recorder`: the flight recorder. `shared_scoreboard`: the scoreboard in shared memory.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub(crate) mod arguments;
pub(crate) mod attach;
pub(crate) mod class;
pub(crate) mod classes;
pub(crate) mod guard;
pub(crate) mod host;
pub(crate) mod instance;
pub(crate) mod interpreter;
mod member;
pub(crate) mod object;
pub(crate) mod owned;
#[cfg(unix)]
pub(crate) mod process;
#[cfg(unix)]
pub(crate) mod recorder;
pub(crate) mod runtime;
pub(crate) mod scoreboard;
#[cfg(unix)]
pub(crate) mod shared_scoreboard;
