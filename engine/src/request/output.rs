//! Sending content: the head before the first piece, nothing beyond the declared length, and no waiting with the GIL
//! held.

use pyo3::Python;
use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::limits;
use wsgi_wire::messages::applications;
use wsgi_wire::response::File;

use crate::request::response::{Hints, ResponseError};
use crate::request::response_head::Head;
use crate::request::transport::Gone;
use crate::request::{Live, Request};

/// Why content was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The request is over.
    #[error("the request is over")]
    Over,
    /// The client is gone: nobody waits for the response any more.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// There is no head to send before the content.
    #[error(transparent)]
    Refused(#[from] ResponseError),
}

/// Why hints cannot be given any more. Both are `RuntimeError`s in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HintsError {
    /// The response has begun.
    #[error("early_hints() called after response headers were sent")]
    Committed,
    /// The response is over.
    #[error("early_hints() called after request completed")]
    Over,
}

/// Sends one piece of content, and the head before it if that has not left yet. `whole` is the length of the whole body
/// if it is known.
///
/// # Errors
/// If nothing could be sent.
pub(crate) fn send(py: Python<'_>, request: &Request, content: &[u8], whole: Option<u64>) -> Result<(), SendError> {
    finish(py, request, offer(py, request, content, whole, true).ok_or(SendError::Over)??)
}

/// Sends content without waiting if it is short and there is room for it, else without the GIL. `flush`: it must leave
/// before more is sent. Returns whether it has.
fn offer(
    py: Python<'_>,
    request: &Request,
    content: &[u8],
    whole: Option<u64>,
    flush: bool,
) -> Option<Result<bool, SendError>> {
    if is_large(content) || flush && request.always_blocks {
        return pass(py, request, content, whole, flush);
    }
    let queued = request.with(py, |live| {
        if !live.transport.has_room(content.len()) {
            return Ok(None);
        }
        queue(live, content, whole)?;
        Ok(Some(!flush || live.flush(false)?))
    })?;
    queued.transpose().or_else(|| pass(py, request, content, whole, flush))
}

/// Whether sending this content takes time even if nobody has to be waited for.
fn is_large(content: &[u8]) -> bool {
    content.len() > limits::INLINE_CHUNK
}

/// Sends content without copying it. `flush`: it must leave before more is sent.
fn pass(
    py: Python<'_>,
    request: &Request,
    content: &[u8],
    whole: Option<u64>,
    flush: bool,
) -> Option<Result<bool, SendError>> {
    request.blocking(py, |live| {
        let admitted = begin(live, content, whole)?;
        live.pass(admitted)?;
        Ok(!flush || live.flush(true)?)
    })
}

/// Queues one piece of content that need not leave before the next one.
///
/// # Errors
/// As [`send`].
pub(crate) fn append(py: Python<'_>, request: &Request, content: &[u8], whole: Option<u64>) -> Result<(), SendError> {
    offer(py, request, content, whole, false).ok_or(SendError::Over)?.map(drop)
}

/// Sends a piece of a file as the whole content.
///
/// # Errors
/// As [`send`].
pub(crate) fn send_file(
    py: Python<'_>,
    request: &Request,
    file: OwnedFd,
    offset: u64,
    available: u64,
) -> Result<(), SendError> {
    let flushed = request.with(py, |live| -> Result<bool, SendError> {
        commit(live, Some(available))?;
        let length = live.response.admit(available);
        live.counts.output_length += length;
        if length > 0 {
            let whole = !live.response.is_short();
            live.transport.file(file, File { offset, length, whole });
        }
        Ok(live.flush(false)?)
    });
    finish(py, request, flushed.ok_or(SendError::Over)??)
}

/// Sends a `103 Early Hints` at once. That the client is gone shows when the response is sent. What is beyond
/// [`limits::HINTS`] is left out: it is a hint only, and no reason to fail a request.
///
/// # Errors
/// If the head has left, or the request is over.
pub(crate) fn send_hints(py: Python<'_>, request: &Request, hints: &Head) -> Result<(), HintsError> {
    match finish(py, request, hint(py, request, hints)?.unwrap_or(true)) {
        Err(SendError::Over) => Err(HintsError::Over),
        Ok(()) | Err(SendError::Gone(_) | SendError::Refused(_)) => Ok(()),
    }
}

/// As [`send_hints`], without waiting: whether all has left.
///
/// # Errors
/// As [`send_hints`].
pub(crate) fn hint(py: Python<'_>, request: &Request, hints: &Head) -> Result<Result<bool, Gone>, HintsError> {
    let (fate, flushed) = request
        .with(py, |live| {
            if live.response.committed() {
                return Err(HintsError::Committed);
            }
            let fate = live.response.hint(hints.wire_size());
            if fate != Hints::Sent {
                return Ok((fate, Ok(true)));
            }
            live.finalize_log();
            live.transport.early_hints(hints);
            Ok((fate, live.flush(false)))
        })
        .ok_or(HintsError::Over)??;
    if fate == Hints::FirstLeftOut {
        let (number, bytes) = (limits::HINTS, limits::HINTS_BYTES);
        request.log(
            py,
            &applications::EARLY_HINTS_LEFT_OUT,
            &format!("early hints are left out: a request may give {number} of them and {bytes} bytes in all"),
        );
    }
    Ok(flushed)
}

/// Waits until everything is out, without the GIL.
fn finish(py: Python<'_>, request: &Request, flushed: bool) -> Result<(), SendError> {
    if !flushed {
        request.blocking(py, |live| live.flush(true)).ok_or(SendError::Over)??;
    }
    Ok(())
}

fn queue(live: &mut Live, content: &[u8], whole: Option<u64>) -> Result<(), SendError> {
    let admitted = begin(live, content, whole)?;
    if !admitted.is_empty() {
        live.transport.data(admitted);
    }
    Ok(())
}

/// Queues the head before the first piece of content. Returns the part of the piece that belongs to the response.
///
/// # Errors
/// As [`commit`].
pub(crate) fn begin<'c>(live: &mut Live, content: &'c [u8], whole: Option<u64>) -> Result<&'c [u8], SendError> {
    live.finalize_log();
    commit(live, whole)?;
    let admitted = live.response.admit(content.len() as u64) as usize;
    live.counts.output_writes += 1;
    live.counts.output_length += content.len() as u64;
    Ok(&content[..admitted])
}

/// Queues the head if that has not happened yet.
///
/// # Errors
/// If there is no head, or its Content-Length is no length.
pub(crate) fn commit(live: &mut Live, whole: Option<u64>) -> Result<(), ResponseError> {
    if !live.response.committed() {
        let head = live.response.commit(whole)?;
        live.transport.head(&head);
    }
    Ok(())
}
