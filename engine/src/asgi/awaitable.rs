//! The results of `send()` and `receive()` where nothing has to be waited for: `await` takes them at once, without a
//! future, and without the event loop.

use pyo3::exceptions::PyStopIteration;
use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny, PyErr, PyResult};

use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::owned::Owned;

/// An awaitable that is done, without a value. There is one for all.
pub(super) struct Done;

impl Class for Done {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Done";
    const DOC: &'static std::ffi::CStr = c"An awaitable that is over.";

    fn define(class: &mut Definition<Self>) {
        class.awaitable(|_this: This<'_, '_, Self>| Ok(None));
    }
}

/// An awaitable that is done, with a value.
pub(super) struct Value(pub(super) Owned);

impl Class for Value {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Value";
    const DOC: &'static std::ffi::CStr = c"An awaitable that has its value.";

    fn define(class: &mut Definition<Self>) {
        class.awaitable(give);
    }
}

fn give<'py>(this: This<'_, 'py, Value>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let stop = this.py().get_type::<PyStopIteration>().call1((this.0.bind(this.py()),))?;
    Err(PyErr::from_value(stop))
}
