//! The only place with unsafe code: what this process inherits, the mapped table, and what runs between fork and exec.

pub mod child;
pub mod clock;
pub mod descriptors;
pub mod signal;
pub mod table;
