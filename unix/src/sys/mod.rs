//! System calls, and ways to call them, that std and rustix do not have.

pub mod socket;
pub mod stop;
