//! The ways into the engine.

pub(crate) mod embedded;
pub(crate) mod extension;
