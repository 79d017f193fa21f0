//! The messages that an application sends in the course of one request.

use pyo3::{Bound, PyAny, PyResult};

use crate::asgi::exchange::Stage;
use crate::asgi::files;
use crate::asgi::sending::{Sending, unexpected};
use crate::asgi::trailers;

/// Takes a message of this kind.
pub(super) fn send<'py>(sending: &Sending<'_, 'py>, kind: &str) -> PyResult<Bound<'py, PyAny>> {
    match (kind, sending.stage) {
        ("http.response.start", Stage::Before) => sending.start(),
        ("http.response.body", Stage::Started | Stage::Committed) => sending.body(),
        ("http.response.pathsend", Stage::Started) => files::send_path(sending),
        ("http.response.zerocopysend", Stage::Started | Stage::Committed) => files::send_file(sending),
        ("http.response.trailers", Stage::Trailing) => trailers::send(sending),
        ("http.response.early_hint", Stage::Before | Stage::Started) => sending.hint(),
        (kind, Stage::Before) => Err(unexpected(kind, "before 'http.response.start'")),
        (kind, Stage::Started | Stage::Committed | Stage::Open) => Err(unexpected(kind, "after 'http.response.start'")),
        (kind, Stage::Trailing) => Err(unexpected(kind, "after the content of a response that has trailers")),
        (kind, Stage::Over) => Err(unexpected(kind, "after the response is complete")),
    }
}
