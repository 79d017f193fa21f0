//! The Python objects of an event loop: the loop itself, our classes and names, the functions of `asgi.py`.

use std::ffi::CString;
use std::time::Duration;

use pyo3::types::{PyAnyMethods, PyBytes, PyDict, PyDictMethods, PyModule, PyString};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::interface::Lifespan;
use wsgi_wire::scope;
use wsgi_wire::settings::Daemon;

use crate::asgi::awaitable::{Done, Value};
use crate::asgi::figures;
use crate::asgi::message::Message;
use crate::ffi::classes::Classes;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::log::record;
use crate::log::traceback;
use wsgi_wire::messages::internal;

macro_rules! names {
    ($($field:ident = $text:literal,)*) => {
        /// Python strings that every request needs.
        pub(super) struct Names { $(#[doc = concat!("`", $text, "`")] pub(super) $field: Owned<PyString>,)* }

        impl Names {
            fn new(py: Python<'_>) -> Self {
                Self { $($field: Owned::new(PyString::intern(py, $text)),)* }
            }
        }
    };
}

names! {
    kind = "type",
    status = "status",
    headers = "headers",
    body = "body",
    more_body = "more_body",
    links = "links",
    trailers = "trailers",
    more_trailers = "more_trailers",
    trailing = "http.response.trailers",
    path = "path",
    file = "file",
    offset = "offset",
    count = "count",
    method = "method",
    raw_path = "raw_path",
    root_path = "root_path",
    query_string = "query_string",
    http_version = "http_version",
    scheme = "scheme",
    client = "client",
    server = "server",
    state = "state",
    extensions = "extensions",
    mod_wsgi = "mod_wsgi",
    request_id = "request_id",
    environ = "environ",
    tls = "tls",
    request = "http.request",
    disconnect = "http.disconnect",
    websocket = "websocket",
    subprotocols = "subprotocols",
    subprotocol = "subprotocol",
    denial = "websocket.http.response",
    connect = "websocket.connect",
    receive = "websocket.receive",
    closed = "websocket.disconnect",
    text = "text",
    bytes = "bytes",
    code = "code",
    reason = "reason",
    set_result = "set_result",
    done = "done",
    cancelled = "cancelled",
    exception = "exception",
    add_done_callback = "add_done_callback",
    finished = "finished",
    cancel = "cancel",
    get = "GET",
    head = "HEAD",
    post = "POST",
    put = "PUT",
    delete = "DELETE",
    http = "http",
    https = "https",
    http_1_1 = "1.1",
    http_2 = "2",
}

/// Makes the module of the functions that are written in Python; applications do not find it.
fn helper(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let source = CString::new(include_str!("asgi.py"))?;
    let module = PyModule::from_code(py, &source, c"<mod_wsgi>", c"_mod_wsgi_asgi")?;
    py.import("sys")?.getattr("modules")?.del_item("_mod_wsgi_asgi")?;
    Ok(module)
}

/// An event loop that does not run yet, with its objects.
pub(crate) struct Loop {
    pub(super) interpreter: &'static Interpreter,
    pub(super) helper: Owned<PyModule>,
    /// An instance of `Loop` of `asgi.py`.
    object: Owned,
}

impl Loop {
    /// Makes the loop that the settings name, and makes it the one of this thread.
    ///
    /// # Errors
    /// If there is no loop of that kind.
    pub(crate) fn make(py: Python<'_>, interpreter: &'static Interpreter, settings: &Daemon) -> PyResult<Self> {
        let helper = helper(py)?;
        let kind = object::latin1(py, &settings.event_loop)?;
        let object = helper.getattr("Loop")?.call1((kind, settings.threads.max(1)))?;
        Ok(Self { interpreter, helper: Owned::new(helper), object: Owned::new(object) })
    }

    /// Returns the interface of an application: `asgi`, `asgi2` or `wsgi`.
    pub(super) fn speaks(&self, application: &Bound<'_, PyAny>) -> PyResult<String> {
        if self.interpreter.is_async(application) {
            return Ok("asgi".to_owned());
        }
        self.helper.bind(application.py()).getattr("speaks")?.call1((application,))?.extract()
    }

    /// Tells an application that the process starts. Returns an instance of `Lifespan` of `asgi.py`.
    pub(super) fn begin<'py>(
        &self,
        application: &Bound<'py, PyAny>,
        lifespan: Lifespan,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mode = match lifespan {
            Lifespan::Auto => "auto",
            Lifespan::On => "on",
            Lifespan::Off => "off",
        };
        self.object.bind(application.py()).call_method1("begin", (application, mode))
    }

    /// Waits until an application has started. Returns what has gone wrong.
    pub(super) fn wait(&self, lifespan: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
        self.object.bind(lifespan.py()).call_method1("wait", (lifespan,))?.extract()
    }

    /// Forgets an application that could not start: it has no part in the end.
    pub(super) fn forget(&self, lifespan: &Bound<'_, PyAny>) -> PyResult<()> {
        self.object.bind(lifespan.py()).call_method1("forget", (lifespan,)).map(drop)
    }

    /// Makes the driver hear when the application with this number has started.
    pub(super) fn tell(&self, lifespan: &Bound<'_, PyAny>, driver: &Bound<'_, PyAny>, number: usize) -> PyResult<()> {
        let started = driver.getattr("started")?;
        self.object.bind(lifespan.py()).call_method1("tell", (lifespan, started, number)).map(drop)
    }

    /// Runs until the loop is stopped.
    ///
    /// # Errors
    /// What an exception handler of the application raises that ends the loop.
    pub(super) fn run(&self, py: Python<'_>, descriptor: i32, driver: &Bound<'_, PyAny>) -> PyResult<()> {
        self.object.bind(py).call_method1("run", (descriptor, driver.getattr("ready")?)).map(drop)
    }

    /// Ends what still runs, and the loop.
    ///
    /// # Errors
    /// What goes wrong with that.
    pub(super) fn end(&self, py: Python<'_>, driver: &Bound<'_, PyAny>) -> PyResult<()> {
        self.object.bind(py).call_method1("end", (driver.getattr("failed_to_stop")?,)).map(drop)
    }
}

/// The Python objects that each request needs.
pub(super) struct Objects {
    pub(super) event_loop: Loop,
    /// The loop's own object, and its methods.
    loop_object: Owned,
    create_future: Owned,
    /// The function `start` of `asgi.py`.
    pub(super) start: Owned,
    pub(super) classes: Classes,
    pub(super) names: Names,
    /// The names of headers, by number.
    headers: Vec<Option<Owned<PyBytes>>>,
    /// The one [`Done`].
    done: Owned,
    /// The method `request.get` of `asgi.py`.
    variable: Owned,
    /// The object whose methods the loop calls.
    pub(super) driver: Owned,
    /// The number that Python gives to the loop's thread.
    pub(super) thread: u64,
}

impl Objects {
    /// Makes the objects, once applications have started. `driver`: the object whose methods the loop calls.
    ///
    /// # Errors
    /// What CPython raises.
    pub(super) fn new(py: Python<'_>, event_loop: Loop, classes: Classes, driver: &Bound<'_, PyAny>) -> PyResult<Self> {
        let object = event_loop.object.bind(py);
        let loop_object = object.getattr("loop")?;
        let headers = scope::KNOWN.iter().enumerate().map(|(number, name)| {
            let is_header = number >= scope::FIRST_HEADER.into();
            is_header.then(|| Owned::new(PyBytes::new(py, name.as_bytes())))
        });
        Ok(Self {
            create_future: Owned::new(loop_object.getattr("create_future")?),
            loop_object: Owned::new(loop_object),
            start: Owned::new(object.call_method0("starter")?),
            names: Names::new(py),
            headers: headers.collect(),
            done: Owned::new(classes.instance(py, Done)?),
            variable: Owned::new(event_loop.helper.bind(py).getattr("request")?.getattr("get")?),
            driver: Owned::new(driver.clone()),
            thread: object::thread_ident(),
            classes,
            event_loop,
        })
    }

    /// The name of a header by its number.
    pub(super) fn header<'a, 'py>(&'a self, py: Python<'py>, id: u8) -> Option<&'a Bound<'py, PyBytes>> {
        self.headers.get(usize::from(id))?.as_ref().map(|name| name.bind(py))
    }

    /// Returns an awaitable that is done.
    pub(super) fn done<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.done.get(py)
    }

    /// Returns an awaitable that has this value.
    pub(super) fn value<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.classes.instance(value.py(), Value(Owned::new(value)))
    }

    /// A future of the loop.
    pub(super) fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.create_future.bind(py).call0()
    }

    /// Returns the request in the context of the calling code.
    pub(super) fn current<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.variable.bind(py).call1((py.None(),)).ok().filter(|found| !found.is_none())
    }

    /// Returns where a task waits, in words.
    pub(super) fn stack(&self, task: &Bound<'_, PyAny>) -> String {
        let stack = self.event_loop.helper.bind(task.py()).call_method1("stack", (task,));
        stack.and_then(|stack| stack.extract()).unwrap_or_default()
    }

    /// Calls a method of the driver later.
    pub(super) fn call_later(&self, py: Python<'_>, after: Duration, method: &str) {
        let method = self.driver.bind(py).getattr(method);
        let event_loop = self.event_loop.object.bind(py);
        self.told(py, method.and_then(|it| event_loop.call_method1("call_later", (after.as_secs_f64(), it))));
    }

    /// Cancels a task later.
    pub(super) fn cancel_later(&self, task: &Bound<'_, PyAny>, seconds: u32) {
        let py = task.py();
        let cancel = task.getattr(self.names.cancel.bind(py));
        let called = cancel.and_then(|it| self.loop_object.bind(py).call_method1("call_later", (seconds, it)));
        self.told(py, called);
    }

    /// Makes the loop end.
    pub(super) fn stop_loop(&self, py: Python<'_>) {
        self.told(py, self.loop_object.bind(py).call_method0("stop"));
    }

    fn told(&self, py: Python<'_>, called: PyResult<Bound<'_, PyAny>>) {
        if let Err(error) = called {
            let text = traceback::describe(py, &error);
            record::process(&internal::LOOP_REFUSES, &format!("The event loop refuses a call:\n{text}"));
        }
    }

    /// A message as the application receives it.
    pub(super) fn message<'py>(&self, py: Python<'py>, message: Message) -> PyResult<Bound<'py, PyAny>> {
        let (dict, names) = (PyDict::new(py), &self.names);
        match message {
            Message::Body(body, more) => {
                dict.set_item(names.kind.bind(py), names.request.bind(py))?;
                dict.set_item(names.body.bind(py), PyBytes::new(py, &body))?;
                dict.set_item(names.more_body.bind(py), more)?;
            }
            Message::Disconnect => dict.set_item(names.kind.bind(py), names.disconnect.bind(py))?,
            Message::Connect => dict.set_item(names.kind.bind(py), names.connect.bind(py))?,
            Message::Text(text) => {
                figures::message_is_given();
                dict.set_item(names.kind.bind(py), names.receive.bind(py))?;
                dict.set_item(names.text.bind(py), text)?;
            }
            Message::Binary(bytes) => {
                figures::message_is_given();
                dict.set_item(names.kind.bind(py), names.receive.bind(py))?;
                dict.set_item(names.bytes.bind(py), PyBytes::new(py, &bytes))?;
            }
            Message::Closed(close) => {
                dict.set_item(names.kind.bind(py), names.closed.bind(py))?;
                dict.set_item(names.code.bind(py), close.code)?;
                dict.set_item(names.reason.bind(py), close.reason)?;
            }
        }
        Ok(dict.into_any())
    }
}
