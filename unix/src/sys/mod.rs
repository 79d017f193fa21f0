//! System calls, and ways to call them, that std and rustix do not have. Knows the kernel's contracts. Must not know
//! this product.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub mod clock;
pub mod library;
pub mod passed;
pub mod portable;
pub mod scheduling;
pub mod signals;
pub mod socket;
pub mod stop;
pub mod thread_key;
pub mod usage;
