//! Routes: what does not vary between the requests to one application through one virtual host. Equal routes of all connections are one, with
//! one environ template.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::types::PyDict;
use wsgi_wire::codec::Malformed;
use wsgi_wire::request;

use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::process::Process;

/// More routes than this are not shared: a configuration that makes so many (`%{ENV:…}` in a group's name) makes ever new ones.
const SHARED: usize = 4096;

/// One route.
pub(crate) struct Route {
    payload: Vec<u8>,
    /// The interpreter that its requests run in, once there is one.
    interpreter: OnceLock<&'static Interpreter>,
    /// The constant part of the environ, in that interpreter.
    pub(crate) template: OnceLock<Owned<PyDict>>,
}

impl Route {
    /// What it says.
    ///
    /// # Errors
    /// Never for a route of [`shared`], which has checked it.
    pub(crate) fn content(&self) -> Result<request::Route<'_>, Malformed> {
        request::Route::decode(&self.payload)
    }

    /// The interpreter that its requests run in; made if there is none for the application group yet. On a thread that is attached to nothing.
    /// `None` if it cannot be made; the log says why.
    pub(crate) fn interpreter(&self) -> Option<&'static Interpreter> {
        if let Some(interpreter) = self.interpreter.get() {
            return Some(interpreter);
        }
        let group = self.content().ok()?.application_group.to_vec();
        let interpreter = Process::get().interpreters.get(&group)?;
        Some(self.interpreter.get_or_init(|| interpreter))
    }

    /// Whether there is an interpreter for it.
    pub(crate) fn is_prepared(&self) -> bool {
        self.interpreter.get().is_some()
    }

    /// Whether its requests are known to run in this interpreter.
    pub(crate) fn runs_in(&self, interpreter: &'static Interpreter) -> bool {
        self.interpreter.get().is_some_and(|known| std::ptr::eq(*known, interpreter))
    }
}

static ROUTES: Mutex<Option<HashMap<Vec<u8>, Arc<Route>>>> = Mutex::new(None);

/// The route of this `Route` frame, and its number on the connection.
///
/// # Errors
/// If the frame is none.
pub(crate) fn shared(payload: &[u8]) -> Result<(u16, Arc<Route>), Malformed> {
    let id = request::Route::decode(payload)?.id;
    // All routes with the same content have the same key, whatever their number.
    let mut key = payload.to_vec();
    key[..2].fill(0);
    // The map is consistent whoever panicked.
    let mut routes = ROUTES.lock().unwrap_or_else(PoisonError::into_inner);
    let routes = routes.get_or_insert_default();
    if let Some(route) = routes.get(&key) {
        return Ok((id, Arc::clone(route)));
    }
    let route = Arc::new(Route { payload: key.clone(), interpreter: OnceLock::new(), template: OnceLock::new() });
    if routes.len() < SHARED {
        routes.insert(key, Arc::clone(&route));
    }
    Ok((id, route))
}
