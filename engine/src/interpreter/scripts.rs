//! The scripts of one interpreter, loaded or not.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::types::PyModule;

use crate::ffi::owned::Owned;
use crate::process::reload::SuccessorRequest;

/// The scripts of one interpreter.
#[derive(Default)]
pub(crate) struct Scripts {
    by_path: Mutex<HashMap<Vec<u8>, Arc<Script>>>,
}

/// One script. Its lock is held while it is loaded, so that other requests for it wait, and only those.
#[derive(Default)]
pub(crate) struct Script {
    /// The loaded module.
    pub(crate) module: Mutex<Option<Owned<PyModule>>>,
    /// The newest version that a successor was requested for.
    pub(crate) asked: SuccessorRequest,
    /// Set by preloading, so that the first request skips the check of the file's modification time.
    pub(crate) early: AtomicBool,
    /// Whether a request has come for the script.
    pub(crate) wanted: AtomicBool,
}

impl Scripts {
    /// The script with this path, loaded or not.
    pub(crate) fn get(&self, path: &[u8]) -> Arc<Script> {
        // Locked only for a moment, and nothing of Python is touched.
        let mut scripts = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = scripts.get(path) {
            return Arc::clone(script);
        }
        Arc::clone(scripts.entry(path.to_vec()).or_default())
    }
}
