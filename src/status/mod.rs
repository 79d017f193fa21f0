//! What the server tells about itself.
#![forbid(unsafe_code)]

pub mod publisher;
