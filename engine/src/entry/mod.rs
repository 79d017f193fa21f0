//! The ways into the engine.

pub(crate) mod extension;
