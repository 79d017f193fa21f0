//! Header lines behind the content of a response: the extension `http.response.trailers`.

use pyo3::exceptions::PyValueError;
use pyo3::types::{PyAnyMethods, PyDictMethods};
use pyo3::{Bound, PyAny, PyResult};
use wsgi_wire::header;

use crate::asgi::exchange::connection;
use crate::asgi::sending::{self, Sending, add_headers};

/// Takes trailers; the last ones end the response.
pub(super) fn send<'py>(message: &Sending<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, exchange, names) = (message.py, message.exchange, &message.objects.names);
    let mut given = exchange.take_trailers();
    if let Some(headers) = message.message.get_item(names.headers.bind(py))? {
        add_headers(&mut given, &headers)?;
    }
    if let Some((name, _)) = given.headers().find(|(name, _)| !header::may_trail(name)) {
        let name = String::from_utf8_lossy(name);
        return Err(PyValueError::new_err(format!("the header '{name}' may not follow the content of a response")));
    }
    let more = message.message.get_item(names.more_trailers.bind(py))?;
    if more.map_or(Ok(false), |more| more.is_truthy())? {
        exchange.keep_trailers(given);
        return Ok(message.objects.done(py));
    }
    let pending = exchange.send(py, true, |live| {
        if let Some(connection) = connection(live) {
            connection.send_trailers(&given);
        }
        sending::end(live);
    });
    exchange.sent(py, pending)
}
