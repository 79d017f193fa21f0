//! `wsgi.file_wrapper`: an iterator over blocks of a file.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyDictMethods, PyTuple, PyTupleMethods};
use pyo3::{Bound, IntoPyObject, PyAny, PyResult, Python};

use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
use crate::ffi::owned::Owned;

const BLOCK: isize = 8192;

/// The object behind `wsgi.file_wrapper`; it holds nothing after `close()`.
#[derive(Default)]
pub(crate) struct FileWrapper {
    // Locked only for a moment, with the GIL held, so that nobody ever waits.
    wrapped: Mutex<Option<Wrapped>>,
}

/// The file that is wrapped, and how many bytes a read asks for.
struct Wrapped {
    file: Owned,
    block: isize,
}

impl FileWrapper {
    fn wrapped(&self) -> std::sync::MutexGuard<'_, Option<Wrapped>> {
        self.wrapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the file and returns it: dropping it may run Python code, which the caller has to allow for.
    fn let_go(&self) -> Option<Wrapped> {
        self.wrapped().take()
    }

    /// The file, unless it is closed.
    fn file<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.wrapped().as_ref().map(|w| w.file.get(py))
    }
}

impl Class for FileWrapper {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.FileWrapper";
    const DOC: &'static std::ffi::CStr = c"FileWrapper(filelike, blksize=8192): the blocks of a file.";

    fn define(class: &mut Definition<Self>) {
        class
            .init(init)
            .collected(
                |this, visit| {
                    // Locked only while nothing of Python runs, the collector neither.
                    if let Ok(wrapped) = this.wrapped.try_lock() {
                        wrapped.iter().for_each(|w| visit(&w.file));
                    }
                },
                |this| drop(this.let_go()),
            )
            .iterator(next)
            .method(c"close", close)
            .attribute(c"filelike", |this| this.file(this.py()).ok_or_else(closed))
            .attribute(c"blksize", |this| {
                let block = this.wrapped().as_ref().map_or(BLOCK, |w| w.block);
                Ok(block.into_pyobject(this.py())?.into_any())
            });
    }
}

fn closed() -> pyo3::PyErr {
    PyValueError::new_err("I/O operation on closed file")
}

fn init<'py>(
    this: This<'_, 'py, FileWrapper>,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<()> {
    let names = ["filelike", "blksize"];
    let mut given: [Option<Bound<'py, PyAny>>; 2] = [None, None];
    if args.len() > names.len() {
        return Err(PyTypeError::new_err(format!("FileWrapper() takes at most 2 arguments ({} given)", args.len())));
    }
    for (place, value) in given.iter_mut().zip(args.iter()) {
        *place = Some(value);
    }
    for (name, value) in keywords.into_iter().flat_map(|k| k.iter()) {
        let name: String = name.extract()?;
        match names.iter().position(|n| *n == name) {
            Some(at) if given[at].is_none() => given[at] = Some(value),
            Some(_) => {
                return Err(PyTypeError::new_err(format!("FileWrapper() got multiple values for argument '{name}'")));
            }
            None => {
                return Err(PyTypeError::new_err(format!("FileWrapper() got an unexpected keyword argument '{name}'")));
            }
        }
    }
    let [file, block] = given;
    let file =
        file.ok_or_else(|| PyTypeError::new_err("FileWrapper() missing required argument 'filelike' (pos 1)"))?;
    let block = block.map_or(Ok(BLOCK), |block| block.extract())?;
    if block < 0 {
        return Err(PyValueError::new_err("blksize must not be negative"));
    }
    let before = this.wrapped().replace(Wrapped { file: Owned::new(file), block });
    drop(before);
    Ok(())
}

fn next<'py>(this: This<'_, 'py, FileWrapper>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // Looked up on the object, so that a subclass can have its own.
    let data = this.object.getattr("filelike")?.call_method1("read", (this.object.getattr("blksize")?,))?;
    match data.cast::<PyBytes>() {
        Ok(bytes) if bytes.as_bytes().is_empty() => Ok(None),
        Ok(_) => Ok(Some(data)),
        Err(_) => {
            let found = object::class_name(&data);
            Err(PyTypeError::new_err(format!("file wrapper read() must return bytes, not {found}")))
        }
    }
}

fn close<'py>(this: This<'_, 'py, FileWrapper>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.none("FileWrapper.close")?;
    let wrapped = this.let_go();
    if let Some(wrapped) = wrapped {
        let file = wrapped.file.bind(this.py());
        if file.hasattr("close").unwrap_or(false) {
            // As documented: the file's own troubles are not the response's.
            drop(file.call_method0("close"));
        }
    }
    Ok(this.py().None().into_bound(this.py()))
}
