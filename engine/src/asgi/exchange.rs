//! One request: the messages that its application receives and sends, and the state of its connection meanwhile. Lives
//! on the loop's thread.

mod carried;
mod ending;
mod open;
mod stage;
mod trailers;
mod trailing;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::exceptions::PyRuntimeError;
use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_unix::panics;

use crate::asgi::figures::Counted;
use crate::asgi::incoming::Incoming;
use crate::asgi::message::Message;
use crate::asgi::python::Objects;
use crate::asgi::receiving::PIECE;
use crate::asgi::server::{Carried, Server};
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::process::Process;
use crate::request::transport::Gone;
use crate::request::{Live, Request};
use crate::workers::connection::Connection;
use crate::workers::response_right::ResponseRight;

pub(super) use self::stage::Stage;
use self::trailers::Trailers;

/// With this many bytes waiting for the socket the application has to wait, too.
const HIGH: usize = 64 << 10;

/// With no more than this many bytes waiting the application goes on.
const LOW: usize = 16 << 10;

/// One request and its response.
pub(super) struct Exchange {
    pub(super) request: Arc<Request>,
    pub(super) server: &'static Server,
    /// The connection's key.
    key: u64,
    /// The right to answer, and with it the socket. Only the connection keeps that open: the application may keep this
    /// exchange (in `send`) longer.
    right: Weak<ResponseRight>,
    state: Mutex<State>,
}

/// How far an exchange is, under its lock.
struct State {
    incoming: Incoming,
    /// The futures of `receive()` that wait.
    waiting: VecDeque<Owned>,
    /// The futures of `send()` that wait.
    blocked: Vec<Owned>,
    task: Option<Owned>,
    stage: Stage,
    trailers: Trailers,
    /// Counts the application when it goes on alone.
    background: Option<Counted>,
    /// Whether nobody takes the response any more.
    gone: bool,
    /// Whether the application has received that its client is gone, or sends nothing more.
    told: bool,
    /// Whether the application has been told of that, and its task is cancelled in time.
    given_notice: bool,
    /// Whether the loop watches for room on the connection.
    full: bool,
    /// Whether the connection has been given back, or is gone.
    released: bool,
    task_over: bool,
    ended: bool,
}

impl State {
    /// The application's next message, if there is one, and whether something has to be done now for more to come.
    fn take(&mut self) -> (Option<Message>, bool) {
        let message = self.incoming.take();
        self.told |= matches!(message, Some(Message::Disconnect | Message::Closed(_)));
        (message, self.incoming.asks())
    }
}

impl Exchange {
    /// Makes the exchange of a request that begins.
    pub(super) fn new(
        server: &'static Server,
        key: u64,
        request: Arc<Request>,
        right: &Arc<ResponseRight>,
        incoming: Incoming,
    ) -> Self {
        let state = State {
            incoming,
            waiting: VecDeque::new(),
            blocked: Vec::new(),
            task: None,
            stage: Stage::Before,
            trailers: Trailers::default(),
            background: None,
            gone: false,
            told: false,
            given_notice: false,
            full: false,
            released: false,
            task_over: false,
            ended: false,
        };
        Self { request, server, key, right: Arc::downgrade(right), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Locked only for a moment, while nothing of Python runs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The Python objects of the process, on the loop's thread.
    ///
    /// # Errors
    /// `RuntimeError` on any other thread.
    pub(super) fn objects(&self) -> PyResult<&'static Objects> {
        let objects = self.server.objects().filter(|objects| objects.thread == object::thread_ident());
        objects.ok_or_else(|| PyRuntimeError::new_err("send() and receive() are for the thread of the event loop"))
    }

    /// The stage of the response, if somebody is there to take it.
    ///
    /// # Errors
    /// `mod_wsgi.ClientDisconnected` if nobody is.
    pub(super) fn stage(&self, py: Python<'_>) -> PyResult<Stage> {
        let (stage, gone) = {
            let state = self.state();
            (state.stage, state.gone)
        };
        if gone { Err(self.disconnected(py)) } else { Ok(stage) }
    }

    /// Notes that the head is known.
    pub(super) fn has_started(&self) {
        self.state().stage = Stage::Started;
    }

    fn disconnected(&self, py: Python<'_>) -> PyErr {
        let class = self.request.interpreter.client_disconnected.bind(py);
        PyErr::from_type(class.clone(), "the client is gone")
    }

    fn with_connection<R>(&self, py: Python<'_>, step: impl FnOnce(&mut Connection) -> R) -> Option<R> {
        self.request.with(py, |live| connection(live).map(step)).flatten()
    }

    /// Returns the application's next message, or a future of it.
    pub(super) fn receive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let objects = self.objects()?;
        let (message, asks) = self.state().take();
        if asks {
            self.ask(py);
        }
        match message {
            Some(message) => objects.value(objects.message(py, message)?),
            None => {
                let future = objects.future(py)?;
                self.state().waiting.push_back(Owned::new(future.clone()));
                Ok(future)
            }
        }
    }

    /// Has more come: asks the client for a piece of the body, or receives again after a pause.
    fn ask(&self, py: Python<'_>) {
        if self.state().incoming.is_websocket() {
            self.watch(py);
            // What has been received already nobody tells of.
            return self.hear(py);
        }
        self.push(py, |live| {
            if let Some(connection) = connection(live) {
                connection.ask_body(PIECE);
            }
        });
    }

    /// Queues something and sends what goes.
    pub(super) fn push<R>(&self, py: Python<'_>, step: impl FnOnce(&mut Live) -> R) -> Option<(R, usize)> {
        let sent = self.request.with(py, |live| {
            let result = step(live);
            let flushed = live.flush(false);
            (result, flushed, connection(live).map_or(0, |connection| connection.pending()))
        });
        let (result, flushed, pending) = sent?;
        self.has_sent(py, flushed, pending);
        Some((result, pending))
    }

    /// Queues content and sends as much as goes at once; `over`: it is the end of the response. Returns how much waits
    /// for the socket.
    pub(super) fn send(&self, py: Python<'_>, over: bool, queue: impl FnOnce(&mut Live)) -> usize {
        let sent = self.request.with(py, |live| {
            panics::point("asgi: content");
            queue(live);
            let flushed = live.flush(false);
            (live.response.committed(), flushed, connection(live).map_or(0, |connection| connection.pending()))
        });
        let Some((committed, flushed, pending)) = sent else { return 0 };
        if committed {
            self.has_committed(py, over);
        }
        self.has_sent(py, flushed, pending);
        pending
    }

    /// Tells application and connection what follows from how much has been sent.
    fn has_sent(&self, py: Python<'_>, flushed: Result<bool, Gone>, pending: usize) {
        let Ok(all) = flushed else { return self.is_lost(py) };
        let (changed, over) = {
            let mut state = self.state();
            let changed = state.full == all;
            state.full = !all;
            (changed, all && state.stage == Stage::Over && !state.released)
        };
        if changed {
            self.watch(py);
        }
        if pending < LOW {
            let blocked = std::mem::take(&mut self.state().blocked);
            for future in blocked {
                self.resolve(future.bind(py), py.None().into_bound(py));
            }
        }
        if over {
            self.release(py);
        }
    }

    /// Makes the loop watch for what the exchange can do something with.
    fn watch(&self, py: Python<'_>) {
        let (reads, full) = {
            let state = self.state();
            (!state.incoming.is_paused(), state.full)
        };
        self.with_connection(py, |connection| self.server.watches(self.key, connection, reads, full));
    }

    /// Waits for the socket if too much waits for it.
    pub(super) fn sent<'py>(&self, py: Python<'py>, pending: usize) -> PyResult<Bound<'py, PyAny>> {
        let objects = self.objects()?;
        if pending < HIGH || self.state().released {
            return Ok(objects.done(py));
        }
        let future = objects.future(py)?;
        self.state().blocked.push(Owned::new(future.clone()));
        Ok(future)
    }

    /// Notes that the head has left, and with `over` the end.
    pub(super) fn has_committed(&self, py: Python<'_>, over: bool) {
        {
            let mut state = self.state();
            state.stage = if over { Stage::Over } else { state.stage.max(Stage::Committed) };
            if over {
                state.incoming.is_over();
            }
        }
        if over {
            self.deliver(py);
        }
    }

    fn resolve(&self, future: &Bound<'_, PyAny>, value: Bound<'_, PyAny>) {
        let Some(objects) = self.server.objects() else { return };
        let py = future.py();
        let is_done = future.call_method0(objects.names.done.bind(py)).and_then(|done| done.is_truthy());
        if is_done.is_ok_and(|done| !done) {
            // It has just been seen to wait.
            let _ = future.call_method1(objects.names.set_result.bind(py), (value,));
        }
    }

    /// Gives the messages that are there to the futures that wait for them.
    fn deliver(&self, py: Python<'_>) {
        let Some(objects) = self.server.objects() else { return };
        loop {
            let Some(future) = self.state().waiting.pop_front() else { return };
            let waits = future.bind(py).call_method0(objects.names.done.bind(py)).and_then(|done| done.is_truthy());
            if !waits.is_ok_and(|done| !done) {
                continue;
            }
            let (message, asks) = self.state().take();
            if asks {
                self.ask(py);
            }
            let Some(message) = message else { return self.state().waiting.push_front(future) };
            if let Ok(message) = objects.message(py, message) {
                self.resolve(future.bind(py), message);
            }
        }
    }

    /// Notes that nobody takes anything any more.
    fn is_lost(&self, py: Python<'_>) {
        let blocked = {
            let mut state = self.state();
            if state.released {
                return;
            }
            (state.gone, state.released) = (true, true);
            state.incoming.is_over();
            std::mem::take(&mut state.blocked)
        };
        self.with_connection(py, |connection| {
            self.server.unwatch(connection);
            connection.is_lost();
        });
        self.server.forget(self.key);
        for future in blocked {
            // One that is cancelled takes nothing.
            let _ = future.bind(py).call_method1("set_exception", (self.disconnected(py),));
        }
        self.deliver(py);
        self.give_notice(py);
        self.settle(py);
    }

    /// Tells the application that the client sends nothing more, or is gone: with `disconnect-grace` its task has that
    /// long.
    fn give_notice(&self, py: Python<'_>) {
        let Some(grace) = Process::get().settings.disconnect_grace else { return };
        let task = {
            let mut state = self.state();
            let first = !std::mem::replace(&mut state.given_notice, true) && state.stage != Stage::Over;
            if first { state.task.take() } else { None }
        };
        if let (Some(task), Some(objects)) = (task, self.server.objects()) {
            objects.cancel_later(task.bind(py), grace);
            self.state().task = Some(task);
        }
    }

    /// Gives the connection back for another request.
    fn release(&self, py: Python<'_>) {
        panics::point("asgi: released");
        self.state().released = true;
        if let Some(live) = self.request.finish(py) {
            match live.transport.into_any().downcast::<Connection>() {
                Ok(connection) if connection.is_idle() => self.server.park(self.key, connection),
                Ok(connection) => {
                    self.server.forget(self.key);
                    self.server.dropped(connection);
                }
                Err(_) => self.server.forget(self.key),
            }
        }
        self.settle(py);
    }

    /// Ends the exchange when response and task are over.
    fn settle(&self, py: Python<'_>) {
        let over = {
            let mut state = self.state();
            if state.released {
                state.background =
                    (!state.task_over).then(|| state.background.take().unwrap_or_else(Counted::background));
            }
            state.task_over && state.released && !std::mem::replace(&mut state.ended, true)
        };
        if over {
            // What is left of a connection that was lost, or after a panic.
            let left = self.request.finish(py);
            if left.is_some() {
                self.server.forget(self.key);
            }
            self.server.ends(self.request.route.rules.ignore_activity);
        }
    }

    /// Notes that the application's task has begun.
    pub(super) fn runs(&self, task: Bound<'_, PyAny>) {
        self.state().task = Some(Owned::new(task));
    }
}

/// The connection of a request.
pub(super) fn connection(live: &mut Live) -> Option<&mut Connection> {
    live.transport.as_any().downcast_mut()
}
