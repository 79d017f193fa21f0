//! A WebSocket from its acceptance to its close by the application.

use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::frame::Kind;
use wsgi_wire::websocket::Close;

use super::{Exchange, Stage, connection};
use crate::asgi::figures;
use crate::asgi::incoming::Incoming;
use crate::request::response_head::Head;

impl Exchange {
    /// Accepts the WebSocket.
    pub(in crate::asgi) fn accept(&self, py: Python<'_>, subprotocol: Option<&str>, head: &Head) {
        {
            let mut state = self.state();
            state.stage = Stage::Open;
            if let Incoming::WebSocket(messages) = &mut state.incoming {
                messages.accepted();
            }
        }
        self.push(py, |live| {
            live.finalize_log();
            if let Some(connection) = connection(live) {
                connection.accept(subprotocol, head);
            }
        });
    }

    /// Sends a message; returns what its sender awaits.
    pub(in crate::asgi) fn send_message<'py>(
        &self,
        py: Python<'py>,
        kind: Kind,
        content: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        figures::message_is_sent();
        let sent = self.push(py, |live| {
            if let Some(connection) = connection(live) {
                connection.send_message(kind, content);
            }
        });
        self.sent(py, sent.map_or(0, |((), pending)| pending))
    }

    /// Closes the WebSocket. The application is told of it as it is told of any end.
    pub(in crate::asgi) fn close(&self, py: Python<'_>, close: Close) {
        self.push(py, |live| {
            live.end_log();
            if let Some(connection) = connection(live) {
                connection.close(&close);
            }
            let mut state = self.state();
            // Known before the connection is given back, which follows when all has left.
            state.stage = Stage::Over;
            if let Incoming::WebSocket(messages) = &mut state.incoming {
                messages.closed(close);
            }
        });
        self.deliver(py);
    }
}
