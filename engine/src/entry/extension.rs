//! The extension module `mod_wsgi._engine`.

use std::ffi::c_void;

use pyo3::{Python, ffi};

use crate::daemon;
use crate::entry::embedded;
use crate::ffi::{guard, interpreter, runtime};

/// The module's definition; CPython writes into it, while it holds the import lock.
struct Definition(std::cell::UnsafeCell<ffi::PyModuleDef>);
// SAFETY: only CPython touches it, under its own locks.
unsafe impl Sync for Definition {}

/// A table that CPython is given a pointer to.
struct Table<T, const N: usize>(std::cell::UnsafeCell<[T; N]>);
// SAFETY: CPython only reads it.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

unsafe extern "C" fn run(_: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // Before anything that may fail.
    let log = daemon::begin_log();
    guard::object("run", |py: Python<'_>| {
        daemon::run(py, log)?;
        Ok(py.None().into_ptr())
    })
}

static METHODS: Table<ffi::PyMethodDef, 2> = Table(std::cell::UnsafeCell::new([
    ffi::PyMethodDef {
        ml_name: c"run".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: run },
        ml_flags: ffi::METH_NOARGS,
        ml_doc:
            c"Serve as a daemon process: reads the settings from descriptor 3 and returns when the process should end."
                .as_ptr(),
    },
    ffi::PyMethodDef::zeroed(),
]));

const EXECUTE: ffi::PyModuleDef_Slot =
    ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: embedded::execute as *mut c_void };

/// The slots for `Py_mod_multiple_interpreters` and `Py_MOD_PER_INTERPRETER_GIL_SUPPORTED` of `moduleobject.h`, from
/// 3.12 on: the module keeps nothing of Python outside of the interpreter that it belongs to. Earlier versions refuse a
/// slot that they do not know.
const ANY_INTERPRETER: ffi::PyModuleDef_Slot = ffi::PyModuleDef_Slot { slot: 3, value: 2 as *mut c_void };

const END: ffi::PyModuleDef_Slot = ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut::<c_void>() };

static SLOTS: Table<ffi::PyModuleDef_Slot, 3> = Table(std::cell::UnsafeCell::new([EXECUTE, ANY_INTERPRETER, END]));
static EARLY_SLOTS: Table<ffi::PyModuleDef_Slot, 2> = Table(std::cell::UnsafeCell::new([EXECUTE, END]));

const fn definition(slots: *mut ffi::PyModuleDef_Slot) -> Definition {
    Definition(std::cell::UnsafeCell::new(ffi::PyModuleDef {
        m_base: ffi::PyModuleDef_HEAD_INIT,
        m_name: c"_engine".as_ptr(),
        m_doc: c"The Python half of mod_wsgi.".as_ptr(),
        m_size: 0,
        m_methods: METHODS.0.get().cast(),
        m_slots: slots,
        m_traverse: None,
        m_clear: None,
        m_free: None,
    }))
}

static DEFINITION: Definition = definition(SLOTS.0.get().cast());
static EARLY_DEFINITION: Definition = definition(EARLY_SLOTS.0.get().cast());

#[allow(non_snake_case, reason = "CPython finds the module by this name")]
#[unsafe(no_mangle)]
unsafe extern "C" fn PyInit__engine() -> *mut ffi::PyObject {
    let definition = if runtime::version() >= interpreter::OWN_GIL_SINCE { &DEFINITION } else { &EARLY_DEFINITION };
    // SAFETY: the definition lives for ever; initialisation happens in phases, so nothing else is done here.
    unsafe { ffi::PyModuleDef_Init(definition.0.get()) }
}
