//! The only place that touches CPython's C API and raw memory. Above it everything is safe code.
//!
//! * [`attach`]: which GIL a thread holds; the only maker of `Python` tokens besides [`guard`].
//! * [`guard`]: the way in for every function that CPython calls.
//! * [`class`]: Python types written in Rust, one heap type per interpreter.
//! * [`owned`]: references that outlive an attach.
//! * [`object`], [`interpreter`]: calls of the C API that pyo3 has no safe form of.
//! * [`process`]: process title, signal handlers, the slot of the process table.
//! * [`scoreboard`]: Apache's scoreboard.

pub(crate) mod arguments;
pub(crate) mod attach;
pub(crate) mod class;
pub(crate) mod classes;
pub(crate) mod guard;
pub(crate) mod host;
pub(crate) mod instance;
pub(crate) mod interpreter;
pub(crate) mod object;
pub(crate) mod owned;
pub(crate) mod process;
pub(crate) mod recorder;
pub(crate) mod runtime;
pub(crate) mod scoreboard;
