//! System calls, and ways to call them, that std and rustix do not have. Must know nothing of this product.

pub mod socket;
pub mod stop;
