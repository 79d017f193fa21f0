//! An interpreter's shared library, and the few of its functions that are needed to begin and to end Python. Everything
//! else is the engine's.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;

use wsgi_unix::Library;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::python::PyStatus;

use super::call;
use super::engine::Engine;
use super::interpreter::Found;

/// Why Python does not begin.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// There is no library, or the loader refuses it.
    #[error(
        "{program:?} has no shared library that can be loaded ({reason}), which embedded mode needs: install it (Debian: libpython3.N, Fedora: python3-libs), or name a process group"
    )]
    Library {
        /// The interpreter's program.
        program: PathBuf,
        /// What the loader said of the likeliest library.
        reason: String,
    },
    /// The library lacks a function of Python's C interface.
    #[error("the library of {0:?} lacks {1}: CPython 3.10 or later is needed")]
    Symbol(PathBuf, &'static str),
    /// The engine could not be imported.
    #[error(
        "the Python at {0:?} cannot import the engine (the traceback is in the error log); install mod-wsgi-rust there"
    )]
    NoEngine(PathBuf),
    /// The engine is of another build than this module.
    #[error("the engine of {0:?} is not of this module's build; install module and engine from one package")]
    OtherBuild(PathBuf),
    /// The engine does not take its configuration.
    #[error("the Python at {0:?} cannot be configured: {1}")]
    Configuration(PathBuf, String),
    /// The engine has not begun; it has logged why.
    #[error("the engine in {0:?} could not begin; the error log tells why")]
    NotBegun(PathBuf),
}

type Wide = *mut c_void;

macro_rules! functions {
    ($($field:ident = $name:literal: $type:ty;)*) => {
        /// The functions of a loaded library. They stay valid: it is never unloaded.
        struct Functions { $($field: $type,)* }

        impl Functions {
            fn find(symbol: impl Fn(&'static CStr) -> Result<*mut c_void, PythonError>) -> Result<Self, PythonError> {
                // SAFETY: each symbol is a function of CPython's C API, with the type that its documentation gives.
                Ok(Self { $($field: unsafe { std::mem::transmute::<*mut c_void, $type>(symbol($name)?) },)* })
            }
        }
    };
}

/// `PyPreConfig` of `cpython/initconfig.h`, as it is on Unix since 3.8, and room for what later versions may add.
/// On Windows one more field follows `coerce_c_locale_warn`, which is the last one that is set here.
#[repr(C)]
struct PreConfiguration {
    kind: c_int,
    parse_argv: c_int,
    isolated: c_int,
    use_environment: c_int,
    configure_locale: c_int,
    coerce_c_locale: c_int,
    coerce_c_locale_warn: c_int,
    utf8_mode: c_int,
    dev_mode: c_int,
    allocator: c_int,
    later: [c_int; 16],
}

functions! {
    usual_preconfiguration = c"PyPreConfig_InitPythonConfig": unsafe extern "C" fn(*mut PreConfiguration);
    preinitialize = c"Py_PreInitialize": unsafe extern "C" fn(*const PreConfiguration) -> PyStatus;
    decode = c"Py_DecodeLocale": unsafe extern "C" fn(*const c_char, *mut usize) -> Wide;
    set_program_name = c"Py_SetProgramName": unsafe extern "C" fn(Wide);
    initialize = c"Py_InitializeEx": unsafe extern "C" fn(c_int);
    run = c"PyRun_SimpleString": unsafe extern "C" fn(*const c_char) -> c_int;
    import_capsule = c"PyCapsule_Import": unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
    print_error = c"PyErr_Print": unsafe extern "C" fn();
    save_thread = c"PyEval_SaveThread": unsafe extern "C" fn() -> *mut c_void;
    restore_thread = c"PyEval_RestoreThread": unsafe extern "C" fn(*mut c_void);
    finalize = c"Py_FinalizeEx": unsafe extern "C" fn() -> c_int;
}

/// A library that Python may begin in, or has begun in.
pub struct Python {
    functions: Functions,
    /// The main thread's state while it is detached.
    main: *mut c_void,
}

impl Python {
    /// Loads the library; its symbols become visible to extension modules.
    ///
    /// # Errors
    /// [`PythonError::Library`], [`PythonError::Symbol`]
    pub fn load(found: &Found) -> Result<Self, PythonError> {
        let mut reason = None;
        let library = found
            .libraries
            .iter()
            .find_map(|path| Library::open(path).map_err(|error| reason.get_or_insert(error).len()).ok());
        let program = &found.executable;
        let Some(library) = library else {
            return Err(PythonError::Library { program: program.clone(), reason: reason.unwrap_or_default() });
        };
        let symbol = |name: &'static CStr| {
            let address = library.symbol(name);
            let missing = || PythonError::Symbol(program.clone(), name.to_str().unwrap_or_default());
            if address.is_null() { Err(missing()) } else { Ok(address) }
        };
        let functions = Functions::find(symbol)?;
        Ok(Self { functions, main: std::ptr::null_mut() })
    }

    /// Begins Python on this thread and the engine in it, and detaches. Once in a process.
    ///
    /// # Errors
    /// [`PythonError`]
    pub fn begin(
        mut self,
        found: &Found,
        settings: &[u8],
        package: Option<&[u8]>,
    ) -> Result<(Self, Engine), PythonError> {
        let program = &found.executable;
        let boot = CString::new(include_str!("boot.py").replace("@package@", &hex(package.unwrap_or_default())));
        let name = CString::new(wsgi_unix::bytes(program.as_os_str()));
        let (Ok(boot), Ok(name)) = (boot, name) else { return Err(PythonError::NoEngine(program.clone())) };
        // SAFETY: Python has not begun in this process.
        unsafe { self.preinitialize() }.map_err(|reason| PythonError::Configuration(program.clone(), reason))?;
        // SAFETY: a string that ends in NUL; the encoding has been chosen.
        let name = unsafe { (self.functions.decode)(name.as_ptr(), std::ptr::null_mut()) };
        // SAFETY: Python has not begun; the decoded name is never freed, as this function wants.
        unsafe { (self.functions.set_program_name)(name) };
        // SAFETY: the first call in this process.
        unsafe { (self.functions.initialize)(0) };
        // SAFETY: this thread is attached since; the code is a string that ends in NUL.
        if unsafe { (self.functions.run)(boot.as_ptr()) } != 0 {
            // SAFETY: attached.
            unsafe { (self.functions.save_thread)() };
            return Err(PythonError::NoEngine(program.clone()));
        }
        // SAFETY: attached; the name is a string.
        let capsule = unsafe { (self.functions.import_capsule)(seam::CAPSULE.as_ptr(), 0) }.cast::<seam::Engine>();
        if capsule.is_null() {
            // SAFETY: attached, with an exception set.
            unsafe { (self.functions.print_error)() };
        }
        // SAFETY: the capsule holds the engine's static table. Its version is its first field in all of them, and is
        // compared before anything else is used.
        let begun = match unsafe { capsule.as_ref() } {
            None => Err(PythonError::NoEngine(program.clone())),
            Some(engine) if engine.version != seam::VERSION => Err(PythonError::OtherBuild(program.clone())),
            Some(engine) => {
                // SAFETY: attached, as this function wants; both functions can be called on every thread until the
                // process ends.
                match unsafe { (engine.begin)(View::of(settings), call::scoreboard, call::record) } {
                    0 => Ok(Engine(engine)),
                    _ => Err(PythonError::NotBegun(program.clone())),
                }
            }
        };
        // SAFETY: attached.
        self.main = unsafe { (self.functions.save_thread)() };
        let engine = begun?;
        Ok((self, engine))
    }

    /// Chooses the text encoding as the interpreter's own program does, which daemon processes run: Apache is often
    /// started in the locale "C", where that is UTF-8 and an embedded Python would have ASCII.
    ///
    /// # Safety
    /// Python has not begun in this process.
    unsafe fn preinitialize(&self) -> Result<(), String> {
        // SAFETY: zeros are valid for integers.
        let mut configuration: PreConfiguration = unsafe { std::mem::zeroed() };
        // SAFETY: the function fills in its own fields, of which there are no more than room is for.
        unsafe { (self.functions.usual_preconfiguration)(&raw mut configuration) };
        configuration.parse_argv = 0;
        // The locale, and the variable LC_CTYPE, are Apache's.
        configuration.coerce_c_locale = 0;
        configuration.coerce_c_locale_warn = 0;
        // SAFETY: the caller's duty; the configuration has been filled in.
        let status = unsafe { (self.functions.preinitialize)(&raw const configuration) };
        match (status.kind, status.message.is_null()) {
            (0, _) => Ok(()),
            (_, true) => Err("no reason is given".to_owned()),
            // SAFETY: a static string.
            (_, false) => Err(unsafe { CStr::from_ptr(status.message) }.to_string_lossy().into_owned()),
        }
    }

    /// Ends Python, on the thread that it began on: applications hear of it, exit functions run.
    pub fn end(self, engine: Engine) {
        // SAFETY: the state is this thread's, detached by `begin`.
        unsafe { (self.functions.restore_thread)(self.main) };
        // SAFETY: attached; no request runs any more when a child ends.
        let is_clean = unsafe { (engine.0.end)() } == 0;
        if is_clean {
            // SAFETY: attached, on the thread that Python began on. What cannot be flushed is lost with the process in
            // any case.
            unsafe { (self.functions.finalize)() };
        } else {
            // SAFETY: attached.
            unsafe { (self.functions.save_thread)() };
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
