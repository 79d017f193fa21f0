//! The end of a request: the end of its task, and the fate of a response that is not whole.

use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_unix::panics;
use wsgi_websocket::close;
use wsgi_wire::messages::applications;
use wsgi_wire::response::End;
use wsgi_wire::websocket::Close;

use super::{Exchange, Stage};
use crate::asgi::server::Carried;
use crate::gateway::call;

/// The way in which a task has ended.
enum Outcome {
    Returned,
    Cancelled,
    Raised(PyErr),
}

impl Exchange {
    /// Notes that the application's task is over.
    pub(in crate::asgi) fn has_finished(&self, task: &Bound<'_, PyAny>) {
        let outcome = || -> PyResult<Outcome> {
            let (py, names) = (task.py(), &self.objects()?.names);
            if task.call_method0(names.cancelled.bind(py))?.is_truthy()? {
                return Ok(Outcome::Cancelled);
            }
            let exception = task.call_method0(names.exception.bind(py))?;
            Ok(if exception.is_none() { Outcome::Returned } else { Outcome::Raised(PyErr::from_value(exception)) })
        };
        self.conclude(task.py(), outcome().unwrap_or_else(Outcome::Raised));
    }

    /// Notes that the application could not even be called.
    pub(in crate::asgi) fn was_not_called(&self, py: Python<'_>, error: PyErr) {
        self.conclude(py, Outcome::Raised(error));
    }

    /// Ends the request after a panic in what serves it: nobody must wait for what that has not done.
    pub(in crate::asgi) fn abandon(&self, py: Python<'_>) {
        let (stage, gone, task) = {
            let mut state = self.state();
            state.task_over = true;
            (state.stage, state.gone, state.task.take())
        };
        if stage != Stage::Over && !gone {
            self.give_up(py, 500, close::INTERNAL_ERROR);
        } else {
            // The connection has to be given back, if it has not been.
            self.push(py, |_| ());
        }
        self.settle(py);
        if let (Some(task), Some(objects)) = (task, self.server.objects()) {
            // A task that is over already does not mind.
            let _ = task.bind(py).call_method0(objects.names.cancel.bind(py));
        }
    }

    fn conclude(&self, py: Python<'_>, outcome: Outcome) {
        panics::point("asgi: task over");
        let (stage, gone, task) = {
            let mut state = self.state();
            state.task_over = true;
            (state.stage, state.gone, state.task.take())
        };
        drop(task);
        let (status, code) = match &outcome {
            Outcome::Raised(error)
                if gone
                    && error.matches(py, self.request.interpreter.client_disconnected.bind(py)).unwrap_or(false) =>
            {
                (500, close::INTERNAL_ERROR)
            }
            Outcome::Raised(error) => {
                call::report(py, &self.request, &applications::REQUEST_FAILED, "Exception processing", error);
                (500, close::INTERNAL_ERROR)
            }
            Outcome::Cancelled => (503, close::RESTART),
            Outcome::Returned => {
                if stage < Stage::Open && !gone {
                    let path = String::from_utf8_lossy(&self.request.path);
                    let script = String::from_utf8_lossy(self.request.route.script());
                    let text =
                        format!("The application in '{script}' has returned without a whole response to '{path}'.");
                    self.request.log(py, &applications::NO_WHOLE_RESPONSE, &text);
                }
                (500, close::NORMAL)
            }
        };
        if stage != Stage::Over && !gone {
            self.give_up(py, status, code);
        }
        self.settle(py);
    }

    /// Ends the response as it is: with Apache's page for the status, if nothing of it has left. A WebSocket that is
    /// open is closed with the code.
    pub(in crate::asgi) fn give_up(&self, py: Python<'_>, status: u16, code: u16) {
        if self.is_open() {
            return self.close(py, Close { code, reason: String::new() });
        }
        self.has_committed_or_failed();
        self.push(py, |live| {
            live.end_log();
            match live.response.committed() {
                true => live.transport.end(End::Truncated),
                false => live.transport.fail(status),
            }
        });
    }

    fn has_committed_or_failed(&self) {
        let mut state = self.state();
        state.stage = Stage::Over;
        state.incoming.is_over();
    }
}
