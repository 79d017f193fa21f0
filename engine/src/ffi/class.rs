//! Python types written in Rust: one heap type for each interpreter, made from a [`Definition`].
//!
//! Methods are plain functions. CPython is given a function of ours that is compiled for each of them and finds the
//! method by its type alone: the type of a function item has one value and no size.

use std::any::TypeId;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{Bound, PyAny, PyResult, Python, ffi};

use super::arguments::Args;
use super::guard;
use super::instance::{Instance, This, allocate, this};
use super::member::Member;
use super::owned::Owned;

/// The Rust value that instances of a Python class hold. It must not contain anything that needs the interpreter to be
/// dropped but [`Owned`].
pub(crate) trait Class: Sized + Send + Sync + 'static {
    /// The name of the class, with its module.
    const NAME: &'static CStr;
    /// The class's `__doc__`.
    const DOC: &'static CStr;

    /// Declares the methods and attributes of the class.
    fn define(class: &mut Definition<Self>);

    /// Does what somebody waits for when a method of the instance has panicked.
    fn abandon(_this: This<'_, '_, Self>) {}
}

/// The methods and attributes of a class while they are declared; the type of one interpreter is made of it.
pub(crate) struct Definition<T> {
    methods: Vec<ffi::PyMethodDef>,
    attributes: Vec<ffi::PyGetSetDef>,
    slots: Vec<ffi::PyType_Slot>,
    flags: std::ffi::c_ulong,
    /// The names of the functions, by their types.
    names: Vec<(TypeId, &'static CStr)>,
    class: PhantomData<T>,
}

/// The name under which the class has the function of this type. For records: it is looked for.
fn name_of<T: Class, F: 'static>() -> &'static CStr {
    let names = Definition::<T>::complete().names;
    names.iter().find(|(known, _)| *known == TypeId::of::<F>()).map_or(c"?", |(_, name)| name)
}

/// Makes a value of the type of a function item, which has exactly one value and no size.
fn function<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "methods are functions, not closures with a state") };
    // SAFETY: a value of this type was given to `Definition`, so the type is inhabited, and without size there is
    // nothing to initialise.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

/// A method with positional arguments, written in Rust.
pub(crate) trait Method<T: 'static>:
    for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static
{
}

impl<T: 'static, F> Method<T> for F where
    F: for<'a, 'py> Fn(This<'a, 'py, T>, Args<'a, 'py>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static
{
}

/// Calls a method, as CPython does with the convention `METH_FASTCALL | METH_KEYWORDS`.
///
/// # Safety
/// `object` is an instance of the class of `T`; there are `count` objects at `arguments`; `keywords` may be null.
unsafe extern "C" fn call<T: Class, F: Method<T>>(
    object: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let body = |py: Python<'_>| {
        // SAFETY: an instance of this class, as the caller says.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        // SAFETY: there are `count` arguments, as the caller says.
        let args = unsafe { Args::new(py, arguments, count, !keywords.is_null()) };
        Ok(function::<F>()(this(&object), args)?.into_ptr())
    };
    let abandon = |py: Python<'_>| {
        // SAFETY: as above.
        let object = unsafe { Bound::from_borrowed_ptr(py, object) };
        T::abandon(this(&object));
    };
    guard::method(Member(T::NAME, name_of::<T, F>), body, abandon)
}

impl<T: Class> Definition<T> {
    /// Makes the class's type in the attached interpreter.
    ///
    /// # Errors
    /// What CPython raises (`MemoryError`).
    pub(super) fn make(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
        Self::complete().finish(py)
    }

    fn complete() -> Self {
        let mut definition = Self {
            methods: Vec::new(),
            attributes: Vec::new(),
            slots: Vec::new(),
            flags: ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION,
            names: Vec::new(),
            class: PhantomData,
        };
        T::define(&mut definition);
        definition
    }

    /// Adds a method with positional arguments.
    pub(crate) fn method<F: Method<T>>(&mut self, name: &'static CStr, _method: F) -> &mut Self {
        unsafe extern "C" fn positional<T: Class, F: Method<T>>(
            object: *mut ffi::PyObject,
            arguments: *mut *mut ffi::PyObject,
            count: ffi::Py_ssize_t,
        ) -> *mut ffi::PyObject {
            // SAFETY: CPython has checked that `object` is an instance of this class, and passes `count` arguments.
            unsafe { call::<T, F>(object, arguments, count, null_mut()) }
        }
        let function = ffi::PyMethodDefPointer { PyCFunctionFast: positional::<T, F> };
        self.add::<F>(name, function, ffi::METH_FASTCALL)
    }

    /// Adds a method that applications are handed as a function, without its object: its errors name the function
    /// alone, where CPython would name the class too.
    pub(crate) fn function<F: Method<T>>(&mut self, name: &'static CStr, _method: F) -> &mut Self {
        let function = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: call::<T, F> };
        self.add::<F>(name, function, ffi::METH_FASTCALL | ffi::METH_KEYWORDS)
    }

    fn add<F: 'static>(&mut self, name: &'static CStr, function: ffi::PyMethodDefPointer, flags: c_int) -> &mut Self {
        self.names.push((TypeId::of::<F>(), name));
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: function,
            ml_flags: flags,
            ml_doc: std::ptr::null(),
        });
        self
    }

    /// Adds an attribute that can only be read.
    pub(crate) fn attribute<F>(&mut self, name: &'static CStr, _getter: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
    {
        unsafe extern "C" fn get<T: Class, F>(object: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject
        where
            F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Bound<'py, PyAny>> + Copy + 'static,
        {
            guard::object(Member(T::NAME, name_of::<T, F>), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                Ok(function::<F>()(this(&object))?.into_ptr())
            })
        }
        self.names.push((TypeId::of::<F>(), name));
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
            guard::object(Member(T::NAME, || c"tp_iternext"), |py| {
                // SAFETY: CPython has checked that `object` is an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                // Null without an exception is the end.
                Ok(function::<F>()(this(&object))?.map_or(null_mut(), Bound::into_ptr))
            })
        }
        self.slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void);
        self.slot(ffi::Py_tp_iternext, next::<T, F> as *mut c_void)
    }

    /// Lets `await` take instances. They are their own iterators; the value is what the end of those has.
    pub(crate) fn awaitable<F>(&mut self, next: F) -> &mut Self
    where
        F: for<'a, 'py> Fn(This<'a, 'py, T>) -> PyResult<Option<Bound<'py, PyAny>>> + Copy + 'static,
    {
        self.slot(ffi::Py_am_await, ffi::PyObject_SelfIter as *mut c_void);
        self.iterator(next)
    }

    /// Makes instances take part in garbage collection, which is needed where they hold an object of the application:
    /// cycles may go through it. `visit` names what an instance holds, without running any Python code; `clear` lets go
    /// of it.
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
            // SAFETY: CPython passes an instance of this class; the collector lets nothing else run meanwhile.
            let value = unsafe { &(*object.cast::<Instance<T>>()).value };
            // SAFETY: an object has a type.
            let class = unsafe { ffi::Py_TYPE(object) };
            // SAFETY: the collector's own function and argument; an instance holds its heap type.
            let mut status = unsafe { visit(class.cast(), argument) };
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
            guard::silent(Member(T::NAME, || c"tp_clear"), |py| {
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

    /// Lets Python code make instances and subclasses: an instance begins with the default value, and `init` is its
    /// `__init__`.
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
            guard::object(Member(T::NAME, || c"tp_new"), |py| {
                // SAFETY: CPython passes this class or a subclass.
                unsafe { allocate(py, class, T::default()) }.map(Bound::into_ptr)
            })
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
            guard::status(Member(T::NAME, || c"tp_init"), |py| {
                // SAFETY: CPython passes an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                // SAFETY: CPython passes the arguments.
                let arguments = unsafe { Bound::from_borrowed_ptr(py, arguments) };
                // SAFETY: these are a tuple.
                let arguments = unsafe { arguments.cast_into_unchecked::<PyTuple>() };
                // SAFETY: CPython passes those with names, or null.
                let keywords = unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) };
                // SAFETY: these are a dict.
                let keywords = keywords.map(|k| unsafe { k.cast_into_unchecked::<PyDict>() });
                function::<F>()(this(&object), &arguments, keywords.as_ref())
            })
        }
        self.flags |= ffi::Py_TPFLAGS_BASETYPE;
        self.flags &= !ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        self.slot(ffi::Py_tp_new, new::<T> as *mut c_void);
        self.slot(ffi::Py_tp_init, init::<T, F> as *mut c_void)
    }

    /// Makes a function answer every attribute access of instances.
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
            guard::object(Member(T::NAME, || c"tp_getattro"), |py| {
                // SAFETY: CPython passes an instance of this class.
                let object = unsafe { Bound::from_borrowed_ptr(py, object) };
                // SAFETY: and a name.
                let name = unsafe { Bound::from_borrowed_ptr(py, name) };
                Ok(function::<F>()(this(&object), &name)?.into_ptr())
            })
        }
        self.slot(ffi::Py_tp_getattro, get::<T, F> as *mut c_void)
    }

    fn slot(&mut self, slot: c_int, pfunc: *mut c_void) -> &mut Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc });
        self
    }

    fn finish(mut self, py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
        unsafe extern "C" fn dealloc<T: Class>(object: *mut ffi::PyObject) {
            // SAFETY: an object has a type.
            let class = unsafe { ffi::Py_TYPE(object) };
            // SAFETY: the instance keeps its type alive.
            if unsafe { ffi::PyType_GetFlags(class) } & ffi::Py_TPFLAGS_HAVE_GC != 0 {
                // SAFETY: an object of such a type is known to the collector, or not any more.
                unsafe { ffi::PyObject_GC_UnTrack(object.cast()) };
            }
            // What a panic has left of the value is leaked; the object goes.
            guard::silent(Member(T::NAME, || c"tp_dealloc"), |_py| {
                // SAFETY: an instance of this class.
                let value = unsafe { &raw mut (*object.cast::<Instance<T>>()).value };
                // SAFETY: the last reference is gone; the value was written when the object was made and is dropped
                // once, here.
                unsafe { std::ptr::drop_in_place(value) };
            });
            // SAFETY: a heap type has its slots.
            let free = unsafe { ffi::PyType_GetSlot(class, ffi::Py_tp_free) };
            // SAFETY: the type of that slot; every type has a function there.
            let free = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::freefunc>(free) };
            // SAFETY: the memory is that of an object of this type.
            unsafe { free(object.cast()) };
            // SAFETY: the instance's reference to its heap type, which it has held until now.
            unsafe { ffi::Py_DECREF(class.cast()) };
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
        // SAFETY: the spec is complete and ends with the zero slot.
        let class = unsafe { ffi::PyType_FromSpec(&mut spec) };
        // SAFETY: a new reference, or null and an exception.
        let class = unsafe { Bound::from_owned_ptr_or_err(py, class) }?;
        // SAFETY: it is a type.
        Ok(unsafe { class.cast_into_unchecked::<PyType>() })
    }
}
