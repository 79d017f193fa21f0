//! The view of a request that its connection and the clock have.

use pyo3::Python;
use pyo3::types::PyAnyMethods;
use wsgi_wire::messages::{Topic, internal};

use super::{Exchange, Stage};
use crate::asgi::server::Carried;
use crate::log::record;
use crate::workers::connection::duplex::News;
use crate::workers::connection::{Connection, ConnectionError};

impl Carried for Exchange {
    fn flush(&self, py: Python<'_>) {
        self.push(py, |_| ());
    }

    fn hear(&self, py: Python<'_>) {
        loop {
            let Some(news) = self.with_connection(py, Connection::hear) else { return self.is_lost(py) };
            let ends = matches!(news, Ok(Some(News::BrokenOff | News::Disconnect)));
            {
                let mut state = self.state();
                match news {
                    Ok(None) => return,
                    Ok(Some(News::Piece(piece))) => state.receiving.arrived(piece),
                    Ok(Some(News::End)) => state.receiving.end(),
                    Ok(Some(News::BrokenOff | News::Disconnect)) => state.receiving.is_over(),
                    Err(ConnectionError::Closed) => {
                        drop(state);
                        return self.is_lost(py);
                    }
                    Err(ref error) => {
                        drop(state);
                        record::process(&internal::CONNECTION_BROKEN, &format!("A connection is closed: {error}."));
                        return self.is_lost(py);
                    }
                }
            }
            self.deliver(py);
            if ends {
                self.give_notice(py);
            }
        }
    }

    fn is_late(&self, py: Python<'_>) {
        let task = {
            let mut state = self.state();
            if state.released || state.stage == Stage::Over {
                return;
            }
            state.task.take()
        };
        let (Some(task), Some(objects)) = (task, self.server.objects()) else { return };
        let stack = objects.stack(task.bind(py));
        self.request.log(py, Topic::INFO, &format!("Request cancelled: it has exceeded request-timeout.\n{stack}"));
        self.state().gone = true;
        self.give_up(py, 504);
        self.deliver(py);
        let cancelled = task.bind(py).call_method0(objects.names.cancel.bind(py));
        drop(cancelled);
        let mut state = self.state();
        if !state.task_over {
            state.task = Some(task);
        }
    }

    fn answer_for_the_loop(&self) {
        self.right.fail(502);
    }
}
