//! Routes: the part of requests that does not vary between those to one application through one virtual host. Equal
//! routes of all connections are one, with one environ template.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pyo3::PyResult;
use pyo3::exceptions::PyRuntimeError;
use pyo3::types::PyDict;
use wsgi_wire::codec::DecodeError;
use wsgi_wire::names::{Ids, Name, SCRIPT_NAME};
use wsgi_wire::request;

use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::interpreter::scripts::Script;

/// How many routes are shared at the most: a configuration with more (`%{ENV:…}` in a group's name) makes ever new
/// ones.
const SHARED: usize = 4096;

/// The dict that the environs of a route are copied from: entries that do not vary, and empty ones under the keys that
/// requests add, so that a copy has room for them all. A dict that has to grow while it is filled costs as much as
/// filling it.
pub(crate) struct Template {
    /// The dict to copy.
    pub(crate) environ: Owned<PyDict>,
    /// The entries that a request may leave empty; its environ must not have them then.
    pub(crate) optional: Ids,
}

/// The part that the requests of one application through one virtual host have in common.
pub(crate) struct Route {
    payload: Vec<u8>,
    script: Vec<u8>,
    application_group: Vec<u8>,
    callable: Vec<u8>,
    script_name: Vec<u8>,
    /// The rules for its requests.
    pub(crate) rules: request::Rules,
    /// The interpreter that its requests run in, once there is one.
    interpreter: OnceLock<&'static Interpreter>,
    /// The script of the route, in that interpreter.
    loaded: OnceLock<Arc<Script>>,
    /// The template of its environs, in that interpreter.
    pub(crate) template: OnceLock<Template>,
    /// What its scopes begin as, where its interface is ASGI.
    pub(crate) scope: OnceLock<Owned<PyDict>>,
    /// Which of the applications with an event loop it leads to.
    pub(crate) application: OnceLock<usize>,
}

impl Route {
    fn new(payload: Vec<u8>) -> Result<Self, DecodeError> {
        let content = request::Route::decode(&payload)?;
        let script_name = |(name, value): (Name<'_>, &[u8])| (name == Name::Known(SCRIPT_NAME)).then(|| value.to_vec());
        Ok(Self {
            script_name: content.vars.clone().flatten().find_map(script_name).unwrap_or_default(),
            script: content.script.to_vec(),
            application_group: content.application_group.to_vec(),
            callable: content.callable.to_vec(),
            rules: content.rules,
            interpreter: OnceLock::new(),
            loaded: OnceLock::new(),
            template: OnceLock::new(),
            scope: OnceLock::new(),
            application: OnceLock::new(),
            payload,
        })
    }

    /// The script, loaded or not, in the interpreter that its requests run in.
    pub(crate) fn script_in(&self, interpreter: &Interpreter) -> &Arc<Script> {
        self.loaded.get_or_init(|| interpreter.scripts.get(&self.script))
    }

    /// The path of the script file.
    pub(crate) fn script(&self) -> &[u8] {
        &self.script
    }

    /// The name of the application in the script.
    pub(crate) fn callable(&self) -> &[u8] {
        &self.callable
    }

    /// `SCRIPT_NAME`, unless that varies from request to request.
    pub(crate) fn script_name(&self) -> &[u8] {
        &self.script_name
    }

    /// The constant part of the environ.
    ///
    /// # Errors
    /// Never: all of it was checked when the route was made.
    pub(crate) fn vars(&self) -> PyResult<request::Vars<'_>> {
        let content = request::Route::decode(&self.payload);
        content.map(|content| content.vars).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// The application group whose interpreter its requests run in.
    pub(crate) fn application_group(&self) -> &[u8] {
        &self.application_group
    }

    /// The interpreter that its requests run in, once that is known.
    pub(crate) fn interpreter(&self) -> Option<&'static Interpreter> {
        self.interpreter.get().copied()
    }

    /// Sets the interpreter that its requests run in. Returns the one that was set first.
    pub(crate) fn set_interpreter(&self, interpreter: &'static Interpreter) -> &'static Interpreter {
        self.interpreter.get_or_init(|| interpreter)
    }

    /// Whether its requests are known to run in this interpreter.
    pub(crate) fn runs_in(&self, interpreter: &'static Interpreter) -> bool {
        self.interpreter.get().is_some_and(|known| std::ptr::eq(*known, interpreter))
    }
}

thread_local! {
    /// The route of this thread's last request in embedded mode.
    static LAST: RefCell<Option<Arc<Route>>> = const { RefCell::new(None) };
}

/// Returns the route of this `Route` frame's payload, on a thread whose requests name their routes in full: mostly it
/// is that of the request before.
///
/// # Errors
/// As [`shared`].
pub(crate) fn in_full(payload: &[u8]) -> Result<Arc<Route>, DecodeError> {
    LAST.with_borrow_mut(|last| {
        if let Some(route) = last.as_ref().filter(|route| route.payload == payload) {
            return Ok(Arc::clone(route));
        }
        let (_, route) = shared(payload)?;
        *last = Some(Arc::clone(&route));
        Ok(route)
    })
}

static ROUTES: Mutex<Option<HashMap<Vec<u8>, Arc<Route>>>> = Mutex::new(None);

/// Returns the route of this `Route` frame, and its number on the connection.
///
/// # Errors
/// If the frame is malformed.
pub(crate) fn shared(payload: &[u8]) -> Result<(u16, Arc<Route>), DecodeError> {
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
    let route = Arc::new(Route::new(key.clone())?);
    if routes.len() < SHARED {
        routes.insert(key, Arc::clone(&route));
    }
    Ok((id, route))
}
