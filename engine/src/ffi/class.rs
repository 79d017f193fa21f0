//! Python types written in Rust: one heap type for each interpreter, made from a [`Definition`].
//!
//! Methods are plain functions. CPython is given a function of ours that is compiled for each of them and finds the method by its type alone:
//! the type of a function item has one value and no size.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::null_mut;

use pyo3::exceptions::PyTypeError;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{Bound, PyAny, PyResult, Python, ffi};

use super::guard;
use super::owned::Owned;

/// What an instance holds. It must not contain anything that needs the interpreter to be dropped but [`Owned`].
pub(crate) trait Class: Sized + Send + Sync + 'static {
    /// Module and name.
    const NAME: &'static CStr;
    /// The class's `__doc__`.
    const DOC: &'static CStr;

    /// Says what the class can do.
    fn define(class: &mut Definition<Self>);
}

/// `self` of a method: the Rust value, and the object around it.
pub(crate) struct This<'a, 'py, T> {
    value: &'a T,
    /// The Python object, an instance of the class or of a subclass.
    pub(crate) object: &'a Bound<'py, PyAny>,
}

impl<T> Deref for This<'_, '_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<'py, T> This<'_, 'py, T> {
    /// The token that every method has.
    pub(crate) fn py(&self) -> Python<'py> {
        self.object.py()
    }
}

/// Positional arguments of a method.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a, 'py> {
    py: Python<'py>,
    pointers: &'a [*mut ffi::PyObject],
    /// Whether there were keywords as well.
    keywords: bool,
}

impl<'py> Args<'_, 'py> {
    /// The argument at this place.
    pub(crate) fn get(&self, at: usize) -> Option<Bound<'py, PyAny>> {
        // SAFETY: CPython passes live objects for the time of the call.
        self.pointers.get(at).map(|p| unsafe { Bound::from_borrowed_ptr(self.py, *p) })
    }

    /// The argument at this place, of at most `most`.
    ///
    /// # Errors
    /// `TypeError` in CPython's words if it is missing or there are too many.
    pub(crate) fn required(&self, function: &str, at: usize, least: usize, most: usize) -> PyResult<Bound<'py, PyAny>> {
        self.count(function, least, most)?;
        self.get(at).ok_or_else(|| PyTypeError::new_err(format!("{function}() misses argument {}", at + 1)))
    }

    /// Checks that there are none.
    ///
    /// # Errors
    /// `TypeError` in CPython's words.
    pub(crate) fn none(&self, function: &str) -> PyResult<()> {
        match self.pointers.len() {
            0 => Ok(()),
            given => Err(PyTypeError::new_err(format!("{function}() takes no arguments ({given} given)"))),
        }
    }

    /// Checks how many there are.
    ///
    /// # Errors
    /// `TypeError` in CPython's words.
    pub(crate) fn count(&self, function: &str, least: usize, most: usize) -> PyResult<()> {
        if self.keywords {
            return Err(PyTypeError::new_err(format!("{function}() takes no keyword arguments")));
        }
        let given = self.pointers.len();
        if most == 0 && given > 0 {
            return Err(PyTypeError::new_err(format!("{function}() takes no arguments ({given} given)")));
        }
        let (bound, number) = match () {
            () if given < least => (if least == most { "exactly" } else { "at least" }, least),
            () if given > most => (if least == most { "exactly" } else { "at most" }, most),
            () => return Ok(()),
        };
        let plural = if number == 1 { "" } else { "s" };
        Err(PyTypeError::new_err(format!("{function}() takes {bound} {number} argument{plural} ({given} given)")))
    }
}

#[repr(C)]
struct Instance<T> {
    head: ffi::PyObject,
    value: T,
}

/// Collects what a class can do; then becomes the type of one interpreter.
pub(crate) struct Definition<T> {
    methods: Vec<ffi::PyMethodDef>,
    attributes: Vec<ffi::PyGetSetDef>,
    slots: Vec<ffi::PyType_Slot>,
    flags: std::ffi::c_ulong,
    class: PhantomData<T>,
}

/// The name of a class for messages about panics in it.
fn label<T: Class>() -> &'static str {
    T::NAME.to_str().unwrap_or("a method")
}

/// Conjures up the function that a type of size zero stands for.
fn function<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "methods are functions, not closures with a state") };
    // SAFETY: a value of this type was given to `Definition`, so the type is inhabited, and without size there is nothing to initialise.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

impl<T: Class> Definition<T> {
    /// A method with positional arguments.
    pub(crate) fn method<F>(&mut self, name: &'static CStr, _method: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
    {
        unsafe extern "C" fn call<T: Class, F>(
            object: *mut ffi::PyObject,
            arguments: *mut *mut ffi::PyObject,
            count: ffi::Py_ssize_t,
        ) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
        {
            guard::object(label::<T>(), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class, and passes `count` arguments.
                let (object, pointers) = unsafe {
                    let pointers: &[_] =
                        if count == 0 { &[] } else { std::slice::from_raw_parts(arguments, count as usize) };
                    (Bound::from_borrowed_ptr(py, object), pointers)
                };
                Ok(function::<F>()(this(&object), Args { py, pointers, keywords: false })?.into_ptr())
            })
        }
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: call::<T, F> },
            ml_flags: ffi::METH_FASTCALL,
            ml_doc: std::ptr::null(),
        });
        self
    }

    /// A method that applications are handed as a function, without its object: errors name it alone, where CPython would name the class too.
    pub(crate) fn function<F>(&mut self, name: &'static CStr, _method: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
    {
        unsafe extern "C" fn call<T: Class, F>(
            object: *mut ffi::PyObject,
            arguments: *const *mut ffi::PyObject,
            count: ffi::Py_ssize_t,
            keywords: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
        {
            guard::object(label::<T>(), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class, and passes `count` arguments.
                let (object, pointers) = unsafe {
                    let pointers: &[_] =
                        if count == 0 { &[] } else { std::slice::from_raw_parts(arguments, count as usize) };
                    (Bound::from_borrowed_ptr(py, object), pointers)
                };
                Ok(function::<F>()(this(&object), Args { py, pointers, keywords: !keywords.is_null() })?.into_ptr())
            })
        }
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: call::<T, F> },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: std::ptr::null(),
        });
        self
    }

    /// An attribute that can only be read.
    pub(crate) fn attribute<F>(&mut self, name: &'static CStr, _getter: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
    {
        unsafe extern "C" fn get<T: Class, F>(object: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
        {
            guard::object(label::<T>(), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                Ok(function::<F>()(this(&object))?.into_ptr())
            })
        }
        self.attributes.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get::<T, F>),
            set: None,
            doc: std::ptr::null(),
            closure: null_mut(),
        });
        self
    }

    /// Makes instances their own iterators.
    pub(crate) fn iterator<F>(&mut self, _next: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Option<Bound<'py, PyAny>>> + Copy + 'static,
    {
        unsafe extern "C" fn next<T: Class, F>(object: *mut ffi::PyObject) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Option<Bound<'py, PyAny>>> + Copy + 'static,
        {
            guard::object(label::<T>(), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                // Null without an exception is the end.
                Ok(function::<F>()(this(&object))?.map_or(null_mut(), Bound::into_ptr))
            })
        }
        self.slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void);
        self.slot(ffi::Py_tp_iternext, next::<T, F> as *mut c_void)
    }

    /// Takes part in garbage collection, as whoever holds an object of the application must: cycles may go through it. `visit` names what an
    /// instance holds, without running any Python code; `clear` lets go of it.
    pub(crate) fn collected<V, C>(&mut self, _visit: V, _clear: C) -> &mut Self
    where
        V: Fn(&T, &mut dyn FnMut(&Owned)) + Copy + 'static,
        C: Fn(&T) + Copy + 'static,
    {
        unsafe extern "C" fn traverse<T: Class, V>(
            object: *mut ffi::PyObject,
            visit: ffi::visitproc,
            argument: *mut c_void,
        ) -> c_int
        where
            V: Fn(&T, &mut dyn FnMut(&Owned)) + Copy + 'static,
        {
            // SAFETY: CPython passes an instance of this class, whose heap type it holds; the collector lets nothing else run meanwhile.
            let (value, mut status) =
                unsafe { (&(*object.cast::<Instance<T>>()).value, visit(ffi::Py_TYPE(object).cast(), argument)) };
            function::<V>()(value, &mut |held| {
                if status == 0 {
                    // SAFETY: as above; the object is held by the instance.
                    status = unsafe { visit(held.as_ptr(), argument) };
                }
            });
            status
        }
        unsafe extern "C" fn clear<T: Class, C>(object: *mut ffi::PyObject) -> c_int
        where
            C: Fn(&T) + Copy + 'static,
        {
            guard::silent(label::<T>(), |py| {
                // SAFETY: CPython passes an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                function::<C>()(this(&object).value);
            });
            0
        }
        self.flags |= ffi::Py_TPFLAGS_HAVE_GC;
        self.slot(ffi::Py_tp_traverse, traverse::<T, V> as *mut c_void);
        self.slot(ffi::Py_tp_clear, clear::<T, C> as *mut c_void)
    }

    /// Lets Python make instances and subclasses: they begin with the default value, and `init` is their `__init__`.
    pub(crate) fn init<F>(&mut self, _init: F) -> &mut Self
    where
        T: Default,
        F: for<'a, 'py> Fn(This<'a, 'py, T>, &Bound<'py, PyTuple>, Option<&Bound<'py, PyDict>>) -> PyResult<()>
            + Copy
            + 'static,
    {
        unsafe extern "C" fn new<T: Class + Default>(
            class: *mut ffi::PyTypeObject,
            _: *mut ffi::PyObject,
            _: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject {
            // SAFETY: CPython passes this class or a subclass.
            guard::object(label::<T>(), |py| unsafe { allocate(py, class, T::default()) }.map(Bound::into_ptr))
        }
        unsafe extern "C" fn init<T: Class, F>(
            object: *mut ffi::PyObject,
            arguments: *mut ffi::PyObject,
            keywords: *mut ffi::PyObject,
        ) -> c_int
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>, &Bound<'py, PyTuple>, Option<&Bound<'py, PyDict>>) -> PyResult<()>
                + Copy
                + 'static,
        {
            guard::status(label::<T>(), |py| {
                // SAFETY: CPython passes an instance of this class, a tuple, and a dict or null.
                let (object, arguments, keywords) = unsafe {
                    (
                        Bound::from_borrowed_ptr(py, object),
                        Bound::from_borrowed_ptr(py, arguments).cast_into_unchecked::<PyTuple>(),
                        Bound::from_borrowed_ptr_or_opt(py, keywords).map(|k| k.cast_into_unchecked::<PyDict>()),
                    )
                };
                function::<F>()(this(&object), &arguments, keywords.as_ref())
            })
        }
        self.flags |= ffi::Py_TPFLAGS_BASETYPE;
        self.flags &= !ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        self.slot(ffi::Py_tp_new, new::<T> as *mut c_void);
        self.slot(ffi::Py_tp_init, init::<T, F> as *mut c_void)
    }

    /// Answers every attribute access itself.
    pub(crate) fn lookup<F>(&mut self, _lookup: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
    {
        unsafe extern "C" fn get<T: Class, F>(
            object: *mut ffi::PyObject,
            name: *mut ffi::PyObject,
        ) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
        {
            guard::object(label::<T>(), |py| {
                // SAFETY: CPython passes an instance of this class and a str.
                let (object, name) =
                    unsafe { (Bound::from_borrowed_ptr(py, object), Bound::from_borrowed_ptr(py, name)) };
                Ok(function::<F>()(this(&object), &name)?.into_ptr())
            })
        }
        self.slot(ffi::Py_tp_getattro, get::<T, F> as *mut c_void)
    }

    fn slot(&mut self, slot: c_int, pfunc: *mut c_void) -> &mut Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc });
        self
    }

    fn finish(mut self, py: Python<'_>) -> PyResult<Type<T>> {
        unsafe extern "C" fn dealloc<T: Class>(object: *mut ffi::PyObject) {
            guard::silent(label::<T>(), |_py| {
                // SAFETY: the last reference is gone; the value was written when the object was made and is dropped once, here. The type is
                // kept alive by the instance, as heap types are, and given back after the memory.
                unsafe {
                    let class = ffi::Py_TYPE(object);
                    if ffi::PyType_GetFlags(class) & ffi::Py_TPFLAGS_HAVE_GC != 0 {
                        ffi::PyObject_GC_UnTrack(object.cast());
                    }
                    std::ptr::drop_in_place(&raw mut (*object.cast::<Instance<T>>()).value);
                    let free: ffi::freefunc = std::mem::transmute(ffi::PyType_GetSlot(class, ffi::Py_tp_free));
                    free(object.cast());
                    ffi::Py_DECREF(class.cast());
                }
            });
        }
        self.methods.push(ffi::PyMethodDef::zeroed());
        self.attributes.push(ffi::PyGetSetDef::default());
        // CPython keeps pointers to both tables as long as the type lives, which is as long as the interpreter does.
        let (methods, attributes) = (self.methods.leak(), self.attributes.leak());
        self.slots.extend([
            ffi::PyType_Slot { slot: ffi::Py_tp_methods, pfunc: methods.as_mut_ptr().cast() },
            ffi::PyType_Slot { slot: ffi::Py_tp_getset, pfunc: attributes.as_mut_ptr().cast() },
            ffi::PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc::<T> as *mut c_void },
            ffi::PyType_Slot { slot: ffi::Py_tp_doc, pfunc: T::DOC.as_ptr().cast_mut().cast() },
            ffi::PyType_Slot::default(),
        ]);
        let mut spec = ffi::PyType_Spec {
            name: T::NAME.as_ptr(),
            basicsize: size_of::<Instance<T>>() as c_int,
            itemsize: 0,
            flags: self.flags as c_uint,
            slots: self.slots.as_mut_ptr(),
        };
        // SAFETY: the spec is complete and ends with the zero slot; a new reference to a type, or null and an exception.
        let class = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&mut spec))?.cast_into_unchecked::<PyType>()
        };
        Ok(Type { class: Owned::new(class), value: PhantomData })
    }
}

/// The type of a class in one interpreter.
pub(crate) struct Type<T> {
    class: Owned<PyType>,
    value: PhantomData<T>,
}

impl<T: Class> Type<T> {
    /// Makes the type in the attached interpreter.
    ///
    /// # Errors
    /// What CPython raises (`MemoryError`).
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let mut definition = Definition {
            methods: Vec::new(),
            attributes: Vec::new(),
            slots: Vec::new(),
            flags: ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION,
            class: PhantomData,
        };
        T::define(&mut definition);
        definition.finish(py)
    }

    /// The type as a Python object.
    pub(crate) fn class<'py>(&self, py: Python<'py>) -> &Bound<'py, PyType> {
        self.class.bind(py)
    }

    /// A new instance.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(crate) fn instance<'py>(&self, py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the type was made for this class.
        unsafe { allocate(py, self.class.bind(py).as_ptr().cast(), value) }
    }

    /// The value of an object that is an instance of the class or of a subclass.
    pub(crate) fn value<'a>(&self, object: &'a Bound<'_, PyAny>) -> Option<&'a T> {
        // SAFETY: attached, both objects are alive; looks at the real type, which `isinstance` need not.
        let is = unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), self.class.bind(object.py()).as_ptr().cast()) } != 0;
        is.then(|| this::<T>(object).value)
    }
}

/// The value of an instance. Private: only for objects that are known to be of the class.
fn this<'a, 'py, T>(object: &'a Bound<'py, PyAny>) -> This<'a, 'py, T> {
    // SAFETY: callers have an instance of the class of `T`; its value lives as long as the object.
    let value = unsafe { &(*object.as_ptr().cast::<Instance<T>>()).value };
    This { value, object }
}

/// # Safety
/// `class` was made from a definition of `T`, or is a subclass of such a type.
unsafe fn allocate<T>(py: Python<'_>, class: *mut ffi::PyTypeObject, value: T) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: generic allocation makes room for the type's `basicsize`, which is at least an `Instance<T>`.
    unsafe {
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0))?;
        (&raw mut (*object.as_ptr().cast::<Instance<T>>()).value).write(value);
        Ok(object)
    }
}
