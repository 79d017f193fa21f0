//! Functions of a Unix system that std lacks, for the module, the supervisor, the engine and the command: one place for
//! each rule that more than one of them has to keep.
//!
//! Knows Unix. Must not know Apache, Python or the wire.
#![deny(unsafe_code)]

pub mod files;
#[allow(unsafe_code, reason = "handlers of fork, and memory that a forked process must not see")]
pub mod fork;
pub mod kept_memory;
pub mod memory_file;
pub mod panics;
pub mod process;
pub mod shared_memory;
pub mod stack;
#[allow(unsafe_code, reason = "system calls and borrowed descriptors that neither std nor rustix has a safe form of")]
mod sys;
pub mod user;
pub mod user_space;

pub use self::sys::{clock, signals, socket, stop};
