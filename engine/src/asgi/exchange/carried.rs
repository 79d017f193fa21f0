//! The view of a request that its connection and the clock have.

use pyo3::Python;
use pyo3::types::PyAnyMethods;
use wsgi_unix::panics;
use wsgi_websocket::close;
use wsgi_wire::messages::{Topic, internal};
use wsgi_wire::websocket::Close;

use super::{Exchange, Stage};
use crate::asgi::incoming::Heard;
use crate::asgi::server::Carried;
use crate::log::record;
use crate::workers::connection::{Connection, ConnectionError};

impl Carried for Exchange {
    fn flush(&self, py: Python<'_>) {
        panics::point("asgi: room");
        self.push(py, |_| ());
    }

    fn hear(&self, py: Python<'_>) {
        panics::point("asgi: news");
        // During a pause only the end of the connection is told: what is left there is all there is.
        let (drains, mut comes) = (self.state().incoming.is_paused(), true);
        loop {
            if !drains && self.state().incoming.is_paused() {
                return self.watch(py);
            }
            let Some(news) = self.with_connection(py, |it: &mut Connection| it.hear(&mut comes)) else { return };
            let heard = match news {
                Ok(None) => return,
                Ok(Some(news)) => self.state().incoming.hears(news).map_err(ConnectionError::from),
                Err(error) => Err(error),
            };
            match heard {
                Ok(Heard::More) => self.deliver(py),
                Ok(Heard::Last) => {
                    self.deliver(py);
                    self.give_notice(py);
                }
                Ok(Heard::Gone) | Err(ConnectionError::Closed) => return self.is_lost(py),
                Err(error) => {
                    record::process(&internal::CONNECTION_BROKEN, &format!("A connection is closed: {error}."));
                    return self.is_lost(py);
                }
            }
        }
    }

    fn is_late(&self, py: Python<'_>) {
        panics::point("asgi: late");
        let task = {
            let mut state = self.state();
            // Who may stay open for days has no time limit.
            if state.released || state.stage >= Stage::Open {
                return;
            }
            state.task.take()
        };
        let (Some(task), Some(objects)) = (task, self.server.objects()) else { return };
        let stack = objects.stack(task.bind(py));
        self.request.log(py, Topic::INFO, &format!("Request cancelled: it has exceeded request-timeout.\n{stack}"));
        self.state().gone = true;
        self.give_up(py, 504, close::INTERNAL_ERROR);
        self.deliver(py);
        let cancelled = task.bind(py).call_method0(objects.names.cancel.bind(py));
        drop(cancelled);
        let mut state = self.state();
        if !state.task_over {
            state.task = Some(task);
        }
    }

    fn is_open(&self) -> bool {
        self.state().stage == Stage::Open
    }

    fn leave(&self, py: Python<'_>) {
        if self.is_open() {
            self.close(py, Close { code: close::RESTART, reason: "the service restarts".into() });
        }
    }

    fn abandon(&self, py: Python<'_>) {
        Self::abandon(self, py);
    }

    fn answer_for_the_loop(&self) {
        if let Some(right) = self.right.upgrade() {
            right.fail(502);
        }
    }
}
