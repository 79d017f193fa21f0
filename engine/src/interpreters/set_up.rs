//! Setting an interpreter up: our types, our modules, its streams and its search path.

use std::ffi::CString;

use pyo3::panic::PanicException;
use pyo3::types::{IntoPyDict, PyAnyMethods, PyList, PyModule};
use pyo3::{Bound, PyResult, PyTypeInfo, Python};
use wsgi_wire::messages::{configuration, internal};
use wsgi_wire::record::Stream;

use crate::api::module::{self, Functions, Restricted};
use crate::ffi::classes::Classes;
use crate::ffi::interpreter::Gil;
use crate::ffi::object;
use crate::gateway::errors::{self, Log};
use crate::gateway::file_wrapper::FileWrapper;
use crate::gateway::input::Input;
use crate::gateway::question::Tls;
use crate::gateway::start_response::StartResponse;
use crate::interpreter::Interpreter;
use crate::interpreter::options::Options;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;

/// Makes the module of the functions that are written in Python; applications do not find it.
fn prelude(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let (source, name) = (CString::new(include_str!("prelude.py"))?, c"_mod_wsgi_prelude");
    let module = PyModule::from_code(py, &source, c"<mod_wsgi>", name)?;
    py.import("sys")?.getattr("modules")?.del_item("_mod_wsgi_prelude")?;
    Ok(module)
}

/// Prepares the attached interpreter for an application group. `main`: the main interpreter; `None` if this is the main
/// interpreter, which has to be the first.
///
/// # Errors
/// What CPython raises; then the interpreter cannot be used.
pub(crate) fn set_up(
    py: Python<'_>,
    group: &[u8],
    options: Options,
    main: Option<&'static Interpreter>,
) -> PyResult<&'static Interpreter> {
    if group.is_empty() {
        // pyo3 makes this class in whichever interpreter needs it first, and compares with it everywhere: it must live
        // as long as the process. When pyo3 meets one it writes raw text to descriptor 2 and panics. Nothing here
        // raises it, and an application that has found the class gets a TypeError: None, which all interpreters share,
        // cannot be called.
        PanicException::type_object(py).setattr("__new__", py.None())?;
    }
    // Whichever thread imports it first is its main thread, which CPython waits for at the end: in the main interpreter
    // that is this one.
    py.import("threading")?;
    let mut classes = Classes::default();
    // What each request needs comes first.
    classes.add::<StartResponse>(py)?;
    classes.add::<Input>(py)?;
    classes.add::<FileWrapper>(py)?;
    classes.add::<Log>(py)?;
    classes.add::<Tls>(py)?;
    classes.add::<Functions>(py)?;
    classes.add::<Restricted>(py)?;
    let interpreter = Interpreter::new(py, group, options.gil == Gil::Own, classes, prelude(py)?)?;
    prepare(py, interpreter, &options, main)?;
    Ok(interpreter)
}

fn prepare(
    py: Python<'_>,
    interpreter: &'static Interpreter,
    options: &Options,
    main: Option<&'static Interpreter>,
) -> PyResult<()> {
    let settings = &Process::get().settings;
    let (sys, prelude) = (py.import("sys")?, interpreter.prelude.bind(py));
    if let Some(interval) = options.switch_interval {
        sys.call_method1("setswitchinterval", (interval,))?;
    }
    if options.ignored_interval {
        let text = format!(
            "WSGISwitchInterval has no effect on the {}, which shares its lock with the main interpreter; give it one of its own with \
             WSGIPerInterpreterGIL On (Python 3.12 and later), or set the interval for the whole process group.",
            interpreter.label()
        );
        record::process(&configuration::SHARED_INTERVAL, &text);
    }
    let functions = Functions::new();
    functions.set_interpreter(interpreter);
    let functions = interpreter.classes.instance(py, functions)?;
    module::install(py, interpreter, &functions, interpreter.classes.class::<FileWrapper>(py)?)?;
    sys.setattr("stderr", errors::standard(py, interpreter, Stream::Stderr)?)?;
    if options.restrict_stdout {
        sys.setattr("stdout", interpreter.classes.instance(py, Restricted { name: "sys.stdout" })?)?;
    } else if !Process::get().is_whole_server() {
        sys.setattr("stdout", errors::standard(py, interpreter, Stream::Stdout)?)?;
    } else if let Ok(reconfigure) = sys.getattr("stdout").and_then(|stdout| stdout.getattr("reconfigure")) {
        // Whoever looks on sees each line at once, in a file or through a pipe too.
        reconfigure.call((), Some(&[("line_buffering", true)].into_py_dict(py)?))?;
    }
    if options.restrict_stdin {
        sys.setattr("stdin", interpreter.classes.instance(py, Restricted { name: "sys.stdin" })?)?;
    }
    sys.setattr("argv", PyList::new(py, ["mod_wsgi"])?)?;
    if options.restrict_signal && settings.threads > 0 {
        prelude.call_method1("restrict_signals", (functions.getattr("_note")?,))?;
    }
    if let Some(main) = main {
        prelude.call_method1("share_main_thread", main.maker)?;
    }
    if settings.telemetry.is_some() {
        prelude.call_method0("watch_collector")?;
    }
    // Elsewhere there are neither forks nor signals that are inherited, and no user but the service's own.
    if cfg!(unix) {
        if Process::get().is_embedded() {
            prelude.call_method0("give_programs_their_signals")?;
        }
        prelude.call_method1("watch_forks", (functions.getattr("_about_to_fork")?,))?;
        prelude.call_method0("become_user")?;
    }
    if let Some(eggs) = &settings.python_eggs {
        let environ = py.import("os")?.getattr("environ")?;
        environ.set_item("PYTHON_EGG_CACHE", object::path(py, eggs)?)?;
    }
    search_path(py, interpreter, options)
}

fn search_path(py: Python<'_>, interpreter: &Interpreter, options: &Options) -> PyResult<()> {
    let paths =
        |directories: &[Vec<u8>]| -> PyResult<Vec<_>> { directories.iter().map(|f| object::path(py, f)).collect() };
    let settings = &Process::get().settings;
    let base: Vec<_> = settings.python_path.iter().map(|directory| directory.0.clone()).collect();
    let layers = std::iter::once(&base).chain(&options.python_path);
    let layers = layers.map(|layer| paths(layer)).collect::<PyResult<Vec<_>>>()?;
    let home = settings.home.as_ref().map(|home| object::path(py, home)).transpose()?;
    let outcome = interpreter.prelude.bind(py).call_method1("search_path", (layers, home));
    if let Err(error) = outcome {
        let text = traceback::describe(py, &error);
        record::process(
            &internal::SEARCH_PATH,
            &format!("The module search path of {} could not be set up:\n{text}", interpreter.label()),
        );
    }
    Ok(())
}
