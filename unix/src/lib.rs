//! Functions of a Unix system that std lacks, for the module, the supervisor, the engine and the command: one place for
//! each rule that more than one of them has to keep.
//!
//! Where the system is Windows, the module has embedded mode alone, and finds what that needs under the same names.
//!
//! Knows Unix. Must not know Apache, Python or the wire.
#![deny(unsafe_code)]

#[cfg(unix)]
pub mod files;
#[cfg(unix)]
#[allow(unsafe_code, reason = "handlers of fork, and memory that a forked process must not see")]
pub mod fork;
pub mod kept_memory;
#[cfg(unix)]
pub mod memory_file;
pub mod panics;
#[cfg(unix)]
pub mod process;
#[cfg(unix)]
pub mod shared_memory;
#[cfg(unix)]
pub mod stack;
#[cfg(unix)]
#[allow(unsafe_code, reason = "system calls and borrowed descriptors that neither std nor rustix has a safe form of")]
mod sys;
#[cfg(unix)]
pub mod timespec;
#[cfg(unix)]
pub mod user;
#[cfg(unix)]
pub mod user_space;
#[cfg(windows)]
#[allow(unsafe_code, reason = "functions of the system that std has not")]
#[path = "sys/windows/mod.rs"]
mod windows;

#[cfg(unix)]
pub use self::sys::{clock, library::*, passed, portable::*, scheduling, signals, socket, stop, thread_key, usage};
#[cfg(windows)]
pub use self::windows::*;
