//! `mod_wsgi.active_requests`: the data of the requests that run in an interpreter, by Apache's log ids. Hardly any
//! application asks for it, so the dict is made when one does; until then the requests are only listed, without an
//! object of Python for each.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::types::{PyDict, PyDictMethods};
use pyo3::{Bound, Python};

use crate::ffi::object;
use crate::ffi::owned::Owned;

/// A request as this list knows it.
pub(crate) trait Entry: Send + Sync {
    /// Apache's log id, empty if there is none.
    fn id(&self) -> &[u8];
    /// The dict with the request's data.
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict>;
}

/// The requests that run in one interpreter.
#[derive(Default)]
pub(crate) struct ActiveRequests {
    /// Locked only for a moment, with the GIL held, so that nobody ever waits; and never while objects are made.
    running: Mutex<Vec<Arc<dyn Entry>>>,
    dict: OnceLock<Owned<PyDict>>,
}

impl ActiveRequests {
    fn running(&self) -> MutexGuard<'_, Vec<Arc<dyn Entry>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a request that has a log id until the result is dropped.
    pub(crate) fn enter<'a, 'py>(&'a self, py: Python<'py>, request: Arc<dyn Entry>) -> Option<Active<'a, 'py>> {
        if request.id().is_empty() {
            return None;
        }
        self.running().push(Arc::clone(&request));
        self.show(py, &request);
        Some(Active { among: self, py, request })
    }

    /// Whether a request is still active.
    fn has(&self, request: &Arc<dyn Entry>) -> bool {
        self.running().iter().any(|other| is_same(other, request))
    }

    /// Returns the dict that applications see.
    pub(crate) fn dict<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        if let Some(dict) = self.dict.get() {
            return dict.get(py);
        }
        let made = Owned::new(PyDict::new(py));
        let dict = self.dict.get_or_init(|| made).get(py);
        // Those that begin from here on show themselves.
        let running = self.running().clone();
        running.iter().for_each(|request| self.show(py, request));
        dict
    }

    /// Puts a request into the dict, if the dict has been made.
    fn show(&self, py: Python<'_>, request: &Arc<dyn Entry>) {
        let Some(dict) = self.dict.get() else { return };
        // Making objects may collect garbage, and other threads may run meanwhile: the request may end.
        let (data, id) = (request.data(py), object::latin1(py, request.id()));
        if let (Ok(id), true) = (id, self.has(request)) {
            // A plain dict and a str: only memory can run out, and then the entry is missing.
            let _ = dict.bind(py).set_item(id, data);
        }
    }
}

fn is_same(one: &Arc<dyn Entry>, other: &Arc<dyn Entry>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// A request that is active.
pub(crate) struct Active<'a, 'py> {
    among: &'a ActiveRequests,
    py: Python<'py>,
    request: Arc<dyn Entry>,
}

impl Drop for Active<'_, '_> {
    fn drop(&mut self) {
        let Self { among, py, request } = self;
        among.running().retain(|other| !is_same(other, request));
        if let Some(dict) = among.dict.get() {
            let _ = object::latin1(*py, request.id()).and_then(|id| dict.bind(*py).del_item(id));
        }
    }
}
