//! The extension module `mod_wsgi._engine`.

use std::ffi::c_void;

use pyo3::{Python, ffi};

use super::{embedded, guard};

/// The module's definition; CPython writes into it, while it holds the import lock.
struct Definition(std::cell::UnsafeCell<ffi::PyModuleDef>);
// SAFETY: only CPython touches it, under its own locks.
unsafe impl Sync for Definition {}

struct Table<T, const N: usize>(std::cell::UnsafeCell<[T; N]>);
// SAFETY: CPython only reads it.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

unsafe extern "C" fn run(_: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard::object("run", |py: Python<'_>| {
        crate::run::run(py)?;
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

static SLOTS: Table<ffi::PyModuleDef_Slot, 2> = Table(std::cell::UnsafeCell::new([
    ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: embedded::execute as *mut c_void },
    ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut::<c_void>() },
]));

static DEFINITION: Definition = Definition(std::cell::UnsafeCell::new(ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: c"_engine".as_ptr(),
    m_doc: c"The Python half of mod_wsgi.".as_ptr(),
    m_size: 0,
    m_methods: METHODS.0.get().cast(),
    m_slots: SLOTS.0.get().cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}));

#[allow(non_snake_case, reason = "CPython finds the module by this name")]
#[unsafe(no_mangle)]
unsafe extern "C" fn PyInit__engine() -> *mut ffi::PyObject {
    // SAFETY: the definition lives for ever; initialisation happens in phases, so nothing else is done here.
    unsafe { ffi::PyModuleDef_Init(DEFINITION.0.get()) }
}
