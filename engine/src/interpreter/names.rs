//! Strings of one interpreter that are not made anew for each request: the environ keys that travel as numbers, every
//! name that the engine looks up, and those other keys that requests have again and again.

use std::sync::{Mutex, MutexGuard};

use pyo3::types::{PyString, PyStringMethods};
use pyo3::{Bound, PyResult, Python};
use wsgi_wire::names::KNOWN;

use crate::ffi::object;
use crate::ffi::owned::Owned;

macro_rules! names {
    ($($field:ident = $text:literal,)*) => {
        /// Python strings that every request needs, made once for each interpreter.
        pub(crate) struct Names {
            known: Vec<Owned<PyString>>,
            spelled: Mutex<Vec<Option<Owned<PyString>>>>,
            $(#[doc = concat!("`", $text, "`")] pub(crate) $field: Owned<PyString>,)*
        }

        impl Names {
            /// Interns the strings in the attached interpreter.
            pub(crate) fn new(py: Python<'_>) -> Self {
                Self {
                    known: KNOWN.iter().map(|text| Owned::new(PyString::intern(py, text))).collect(),
                    spelled: Mutex::new(Vec::new()),
                    $($field: Owned::new(PyString::intern(py, $text)),)*
                }
            }
        }
    };
}

names! {
    application = "application",
    close = "close",
    early_hints = "wsgi.early_hints",
    early_hints_method = "early_hints",
    start_response = "start_response",
    write = "write",
    errors = "wsgi.errors",
    input = "wsgi.input",
    url_scheme = "wsgi.url_scheme",
    request_start = "mod_wsgi.request_start",
    queue_start = "mod_wsgi.queue_start",
    daemon_start = "mod_wsgi.daemon_start",
    application_start = "mod_wsgi.application_start",
    thread_id = "mod_wsgi.thread_id",
    mtime = "__mtime__",
    reload_required = "reload_required",
}

impl Names {
    /// The environ keys that the engine itself fills in for each request.
    pub(crate) fn of_each_request<'a, 'py: 'a>(
        &'a self,
        py: Python<'py>,
    ) -> impl Iterator<Item = &'a Bound<'py, PyString>> {
        let clock = [&self.request_start, &self.queue_start, &self.daemon_start, &self.application_start];
        let others = [&self.early_hints, &self.input, &self.errors, &self.thread_id];
        clock.into_iter().chain(others).map(move |name| name.bind(py))
    }

    /// The environ key with this number (`wsgi_wire::names`).
    pub(crate) fn known<'a, 'py>(&'a self, py: Python<'py>, id: u8) -> Option<&'a Bound<'py, PyString>> {
        self.known.get(id as usize).map(|name| name.bind(py))
    }

    /// The environ keys that are written out, for one request.
    pub(crate) fn spelled(&self) -> Spelled<'_> {
        // Nobody waits for them: who does not get them makes its keys anew.
        Spelled { places: self.spelled.try_lock().ok() }
    }
}

/// How many keys are kept, each in one of the two places that its hash says: a client that sends others costs those
/// that it displaces nothing but the time to make them again.
const PLACES: usize = 256;

/// The length, bytes, up to which keys are kept.
const LONGEST: usize = 64;

/// Environ keys that are written out, mostly of headers without a number of their own: clients send the same ones again
/// and again.
pub(crate) struct Spelled<'n> {
    places: Option<MutexGuard<'n, Vec<Option<Owned<PyString>>>>>,
}

impl Spelled<'_> {
    /// The key, kept from an earlier request or made now.
    ///
    /// # Errors
    /// What CPython raises.
    pub(crate) fn key<'py>(&mut self, py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let Some(places) = self.places.as_mut().filter(|_| text.len() <= LONGEST && text.is_ascii()) else {
            return object::latin1(py, text);
        };
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        let first = place(text);
        for at in [first, first ^ 1] {
            if let Some(kept) = places[at].as_ref().map(|key| key.bind(py)) {
                if kept.to_str().is_ok_and(|kept| kept.as_bytes() == text) {
                    return Ok(kept.clone());
                }
            }
        }
        let key = object::latin1(py, text)?;
        if places[first].is_some() {
            // Of two, the older one makes room.
            places.swap(first, first ^ 1);
        }
        places[first] = Some(Owned::new(key.clone()));
        Ok(key)
    }
}

/// The place of a key. Eight bytes at a time: by single bytes the hash would take as long as making the key.
fn place(text: &[u8]) -> usize {
    let hash = text.chunks(8).fold(0u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash.rotate_left(5) ^ u64::from_ne_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    // The uppermost bits depend on all others.
    (hash >> 56) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_that_differ_anywhere_have_places_of_their_own() {
        let keys = (0..40).map(|n| format!("HTTP_X_HEADER_{n}")).chain((0..40).map(|n| format!("HTTP_{n}_X_HEADER")));
        let pairs: HashSet<_> = keys.map(|key| place(key.as_bytes()) / 2).collect();
        assert!(pairs.len() > 50, "80 keys are in {} of 128 pairs of places", pairs.len());
        assert!(place(b"") < PLACES);
    }
}
