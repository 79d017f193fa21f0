//! A question that a script is asked about a request: its functions are called, and what they return becomes the
//! answer. Whatever goes wrong, with the script or with what it returns, gives no answer at all.

use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::types::{
    PyAnyMethods, PyBool, PyBytes, PyBytesMethods, PyDict, PyDictMethods, PyModule, PyModuleMethods, PyString,
    PyStringMethods, PyTuple,
};
use pyo3::{Bound, IntoPyObject, PyAny, PyErr, PyResult, Python};
use wsgi_wire::codec::Bytes;
use wsgi_wire::limits;
use wsgi_wire::messages::{self, Message, applications};
use wsgi_wire::names::{Name, SCRIPT_FILENAME};
use wsgi_wire::question::{Answer, Choice, Question, Topic};
use wsgi_wire::request::Vars;

use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
use crate::gateway::call::Outcome;
use crate::gateway::environ;
use crate::gateway::errors;
use crate::gateway::runner::Runner;
use crate::gateway::script::{self, ScriptError, ScriptNeed};
use crate::log::traceback;
use crate::process::Process;
use crate::process::forked;
use crate::request::Request;
use crate::request::route::Route;

/// The call of a script's functions for one question.
pub(crate) struct QuestionCall<'a, 'py> {
    py: Python<'py>,
    runner: &'a dyn Runner,
    request: &'a Arc<Request>,
    question: Question<'a>,
}

/// Why there is no answer.
enum QuestionError {
    /// The script, or what it has returned, raised this where a function was called.
    Raised(&'static str, PyErr),
    /// It has no such function.
    Missing(&'static str),
}

impl<'a, 'py> QuestionCall<'a, 'py> {
    /// Prepares the call for a question about a request.
    pub(crate) fn new(
        py: Python<'py>,
        runner: &'a dyn Runner,
        request: &'a Arc<Request>,
        question: Question<'a>,
    ) -> Self {
        Self { py, runner, request, question }
    }

    /// Loads the script if need be, calls its functions, and returns the answer.
    pub(crate) fn answer(&self, route: &Route, vars: Vars<'_>) -> Outcome {
        let (py, interpreter) = (self.py, self.request.interpreter);
        let file = |(name, value)| (name == Name::Known(SCRIPT_FILENAME)).then_some(value);
        let need = ScriptNeed {
            script: route.script_in(interpreter),
            path: route.script(),
            callable: b"",
            reloading: route.rules.reloading,
            in_place: true,
            mtime: 0,
            resource: &|| vars.clone().flatten().find_map(file),
        };
        let module = match script::application(py, interpreter, &need) {
            Ok(module) => module,
            Err(ScriptError::Failed(report)) => {
                script::log_failure(py, interpreter, need.path, &report);
                return Outcome::Failed(500);
            }
            Err(ScriptError::Changed) => return Outcome::Failed(500),
        };
        self.runner.loaded(route.rules.ignore_activity);
        let answer = self.environ(route, vars).map_err(|error| QuestionError::Raised("the environ of", error));
        match answer.and_then(|environ| self.call(&module, &environ)) {
            Ok(answer) => Outcome::Said(answer),
            Err(failure) => self.failed(&failure),
        }
    }

    fn environ(&self, route: &Route, vars: Vars<'_>) -> PyResult<Bound<'py, PyDict>> {
        let (py, interpreter) = (self.py, self.request.interpreter);
        let (environ, https) = environ::of_question(py, interpreter, route, vars)?;
        environ.set_item(interpreter.names.errors.bind(py), errors::errors(py, self.request)?)?;
        if self.question.topic != Topic::Dispatch {
            let tls = Tls { request: Arc::clone(self.request), https };
            let tls = interpreter.classes.instance(py, tls)?;
            environ.set_item("mod_ssl.is_https", tls.getattr("is_https")?)?;
            environ.set_item("mod_ssl.var_lookup", tls.getattr("var_lookup")?)?;
        }
        self.runner.furnish(&environ)?;
        Ok(environ)
    }

    fn call(&self, module: &Bound<'py, PyAny>, environ: &Bound<'py, PyDict>) -> Result<Answer, QuestionError> {
        let functions = self.question.topic.functions();
        let answer = match (self.question.topic, functions) {
            (Topic::Dispatch, functions) => self.choice(module, environ, functions)?,
            (topic, functions) => {
                let function = functions.first().copied().unwrap_or_default();
                let texts = self.question.texts().iter().map(|text| object::latin1(self.py, text));
                let texts: PyResult<Vec<_>> = texts.collect();
                let raised = |error| QuestionError::Raised(function, error);
                let arguments = std::iter::once(environ.clone().into_any());
                let arguments = arguments.chain(texts.map_err(raised)?.into_iter().map(Bound::into_any));
                let arguments = PyTuple::new(self.py, arguments.collect::<Vec<_>>()).map_err(raised)?;
                let result = self.run(module, function, &arguments)?.ok_or(QuestionError::Missing(function))?;
                understood(topic, function, &result).map_err(raised)?
            }
        };
        let unfit = |why| {
            let text = format!("{}() has returned what cannot be used: {why}", functions.join("(), "));
            QuestionError::Raised(functions.first().copied().unwrap_or_default(), PyRuntimeError::new_err(text))
        };
        answer.check().map_err(unfit)?;
        Ok(answer)
    }

    /// Calls a function of the script and returns its result; `None` if the script has no function of this name.
    fn run(
        &self,
        module: &Bound<'py, PyAny>,
        function: &'static str,
        arguments: &Bound<'py, PyTuple>,
    ) -> Result<Option<Bound<'py, PyAny>>, QuestionError> {
        let raised = |error| QuestionError::Raised(function, error);
        let Ok(module) = module.cast::<PyModule>() else { return Ok(None) };
        let found = object::dict_get(&module.dict(), &PyString::intern(self.py, function)).map_err(raised)?;
        let Some(found) = found else { return Ok(None) };
        let called = found.call1(arguments);
        forked::came_back(self.py, called.as_ref().err());
        called.map(Some).map_err(raised)
    }

    /// Asks where the application is to run. Each function is told what those before it have chosen.
    fn choice(
        &self,
        module: &Bound<'py, PyAny>,
        environ: &Bound<'py, PyDict>,
        functions: &'static [&'static str],
    ) -> Result<Answer, QuestionError> {
        let mut chosen = [const { None }; 3];
        for (function, place) in functions.iter().zip(&mut chosen) {
            let raised = |error| QuestionError::Raised(function, error);
            let arguments = PyTuple::new(self.py, [environ]).map_err(raised)?;
            let Some(result) = self.run(module, function, &arguments)?.filter(|result| !result.is_none()) else {
                continue;
            };
            let name = name_of(&result).map_err(raised)?;
            let name = name.ok_or_else(|| raised(wrong(function, &result, "a string, bytes or None")))?;
            let key = format!("mod_wsgi.{function}");
            object::latin1(self.py, &name).and_then(|name| environ.set_item(key, name)).map_err(raised)?;
            *place = Some(Bytes(name));
        }
        let [process_group, application_group, callable] = chosen;
        Ok(Answer::Choice(Choice { process_group, application_group, callable }))
    }

    fn failed(&self, failure: &QuestionError) -> Outcome {
        let (py, request) = (self.py, &**self.request);
        let script = String::from_utf8_lossy(request.route.script());
        let (message, text) = match failure {
            QuestionError::Missing(function) => {
                let text = format!("The script '{script}' does not contain the function '{function}'.");
                (missing(self.question.topic), text)
            }
            QuestionError::Raised(_, error)
                if error.matches(py, request.interpreter.request_timeout.bind(py)).unwrap_or(false) =>
            {
                request.log(py, messages::Topic::INFO, "Question interrupted by RequestTimeout; thread recovered.");
                return Outcome::Failed(504);
            }
            QuestionError::Raised(function, error) => {
                let path = String::from_utf8_lossy(&request.path);
                let (label, place) = (request.interpreter.label(), Process::get().place());
                let text = traceback::describe(py, error);
                let text =
                    format!("Exception in {function}() for '{path}' in script '{script}' for {label} {place}:\n{text}");
                (&applications::QUESTION_FAILED, text)
            }
        };
        request.log(py, message, &text);
        Outcome::Failed(500)
    }
}

/// The message about a script that lacks the function that it is to be asked by.
fn missing(topic: Topic) -> &'static Message {
    match topic {
        Topic::Password => &applications::NO_CHECK_PASSWORD,
        Topic::RealmHash => &applications::NO_REALM_HASH,
        Topic::Groups => &applications::NO_GROUPS_FOR_USER,
        // A dispatch script may leave out any of its functions: that is no failure.
        Topic::Access | Topic::Dispatch => &applications::NO_ALLOW_ACCESS,
    }
}

/// Makes the error of a function that has returned something without a meaning.
fn wrong(function: &str, result: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    let found = object::class_name(result);
    PyTypeError::new_err(format!("{function}() must return {expected}, not {found}"))
}

/// The bytes of a name: those of bytes, or of text, which has to be latin-1. `None`: it is neither.
fn name_of(name: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(bytes) = name.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().to_vec()));
    }
    name.cast::<PyString>().ok().map(|text| Ok(object::to_latin1(text)?.into_owned())).transpose()
}

/// Makes the answer of a function's result.
fn understood(topic: Topic, function: &str, result: &Bound<'_, PyAny>) -> PyResult<Answer> {
    // Only the very objects: `1` admits nobody.
    let flag = result.cast_exact::<PyBool>().ok().map(|flag| flag.is(PyBool::new(result.py(), true)));
    match topic {
        Topic::Access | Topic::Password | Topic::RealmHash if result.is_none() => Ok(Answer::Unknown),
        Topic::Access => match flag {
            Some(true) => Ok(Answer::Yes),
            Some(false) => Ok(Answer::No),
            None => Err(wrong(function, result, "True, False or None")),
        },
        Topic::Password => match (flag, result.cast::<PyString>()) {
            (Some(true), _) => Ok(Answer::Yes),
            (Some(false), _) => Ok(Answer::No),
            (None, Ok(user)) => Ok(Answer::Text(Bytes::from(user.to_str()?))),
            (None, Err(_)) => Err(wrong(function, result, "True, False, None or the name of the user")),
        },
        Topic::RealmHash => match name_of(result)? {
            Some(hash) => Ok(Answer::Text(Bytes(hash))),
            None => Err(wrong(function, result, "a string, bytes or None")),
        },
        Topic::Groups | Topic::Dispatch => groups(function, result),
    }
}

/// Makes the answer of an iterable of groups. A single text is refused, though it could be iterated over.
fn groups(function: &str, result: &Bound<'_, PyAny>) -> PyResult<Answer> {
    const EXPECTED: &str = "an iterable of names of groups";
    if result.is_instance_of::<PyString>() || result.is_instance_of::<PyBytes>() {
        return Err(wrong(function, result, EXPECTED));
    }
    let mut groups = Vec::new();
    for item in result.try_iter()? {
        forked::came_back(result.py(), item.as_ref().err());
        let item = item?;
        groups.push(Bytes(name_of(&item)?.ok_or_else(|| wrong(function, &item, EXPECTED))?));
        if groups.len() > limits::USER_GROUPS {
            // One that has no end must have one; the check of the answer says what is wrong.
            break;
        }
    }
    Ok(Answer::Groups(groups))
}

/// The object by which a script asks about the encryption of the client's connection, while it is being asked itself.
pub(crate) struct Tls {
    request: Arc<Request>,
    /// Whether Apache says that the connection is encrypted.
    https: bool,
}

impl Class for Tls {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Auth";
    const DOC: &'static std::ffi::CStr = c"The connection of a request that a script is asked about.";

    fn define(class: &mut Definition<Self>) {
        class.method(c"is_https", is_https).method(c"var_lookup", var_lookup);
    }
}

impl This<'_, '_, Tls> {
    fn alive(&self) -> PyResult<()> {
        self.request.with(self.py(), |_| ()).ok_or_else(|| PyRuntimeError::new_err("request object has expired"))
    }
}

fn is_https<'py>(this: This<'_, 'py, Tls>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    this.alive()?;
    args.count("is_https", 0, 0)?;
    Ok(i32::from(this.https).into_pyobject(this.py())?.into_any())
}

/// Returns a variable of mod_ssl, or `None` where mod_ssl is not loaded; in a daemon process also where the name is not
/// that of a variable about the connection.
fn var_lookup<'py>(this: This<'_, 'py, Tls>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    this.alive()?;
    let name = args.required("var_lookup", 0, 1, 1)?;
    let found =
        || PyTypeError::new_err(format!("var_lookup() argument must be str, not {}", object::class_name(&name)));
    let name = name_of(&name)?.ok_or_else(found)?;
    match this.request.blocking(py, |live| live.transport.ask_variable(&name)).flatten() {
        Some(value) => Ok(object::latin1(py, &value)?.into_any()),
        None => Ok(py.None().into_bound(py)),
    }
}
