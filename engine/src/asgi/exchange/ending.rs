//! The end of a request: the end of its task, and the fate of a response that is not whole.

use pyo3::types::{PyAnyMethods, PyTuple, PyTupleMethods};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_unix::panics;
use wsgi_websocket::close;
use wsgi_wire::messages::applications;
use wsgi_wire::response::End;
use wsgi_wire::websocket::Close;

use super::{Exchange, Stage};
use crate::asgi::server::Carried;
use crate::gateway::call;

/// How many exceptions one after the other are looked at for the one that tells of the client.
const MOST_STEPS: usize = 8;

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
        let (stage, gone, told, task) = {
            let mut state = self.state();
            state.task_over = true;
            (state.stage, state.gone, state.told, state.task.take())
        };
        drop(task);
        let (status, code) = match &outcome {
            Outcome::Raised(error) if gone && self.tells_of_the_client(error.value(py), MOST_STEPS) => {
                (500, close::INTERNAL_ERROR)
            }
            Outcome::Raised(error) => {
                call::report(py, &self.request, &applications::REQUEST_FAILED, "Exception processing", error);
                (500, close::INTERNAL_ERROR)
            }
            Outcome::Cancelled => (503, close::RESTART),
            Outcome::Returned => {
                if stage < Stage::Open && !gone && !told {
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

    /// Whether an exception says only that the client is gone: as we say it, or as a framework has made it its own, in
    /// a class of its own or in a group. What Python itself raises meanwhile is a fault of its own.
    fn tells_of_the_client(&self, error: &Bound<'_, PyAny>, steps: usize) -> bool {
        let py = error.py();
        let told = || -> PyResult<bool> {
            if error.is_instance(self.request.interpreter.client_disconnected.bind(py))? {
                return Ok(true);
            }
            let Some(steps) = steps.checked_sub(1) else { return Ok(false) };
            if let Some(inside) = error.getattr_opt("exceptions")? {
                let inside = inside.cast_into::<PyTuple>()?;
                return Ok(!inside.is_empty() && inside.iter().all(|error| self.tells_of_the_client(&error, steps)));
            }
            if error.get_type().getattr("__module__")?.eq("builtins")? {
                return Ok(false);
            }
            let cause = error.getattr("__cause__")?;
            let before = if cause.is_none() { error.getattr("__context__")? } else { cause };
            Ok(!before.is_none() && self.tells_of_the_client(&before, steps))
        };
        // An exception that cannot even be asked tells of something else.
        told().unwrap_or(false)
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
