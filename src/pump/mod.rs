//! WebSockets that hold no thread of Apache: one thread of each child, the pump, carries them all.
//!
//! Knows connections that httpd's threads have left, and how a WebSocket is carried. Must not know requests before
//! that, nor directives.
#![forbid(unsafe_code)]

mod at;
mod guest;
mod member;
mod places;
mod thread;
mod timers;

pub use self::guest::{Guest, NoPlace, reserve};
pub use self::places::Place;
pub use self::thread::{stop, wake};
