//! What answering a request needs from whoever brought it: a way for frames of the response, and for the body. In a
//! daemon process that is a connection (`workers::connection`), in embedded mode the Apache child itself; tests answer
//! into memory.

use std::any::Any;

use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{End, File};

use crate::request::response_head::Head;

/// The client, or the Apache child in between, has gone: nobody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mod_wsgi client connection closed")]
pub(crate) struct Gone;

/// Why the request body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    /// The Apache child has told the reason.
    #[error("{}", reason(*.0))]
    Client(BodyError),
    /// The Apache child itself is gone.
    #[error("Connection was terminated")]
    Gone,
}

fn reason(error: BodyError) -> &'static str {
    match error {
        BodyError::Aborted => "Connection was terminated",
        BodyError::TimedOut => "The timeout specified has expired",
        BodyError::Malformed => "The request body is not valid",
        BodyError::TooLarge => "The request body is longer than LimitRequestBody allows",
    }
}

/// The way of one request's response to the client, and of its body from there. Everything is queued until
/// [`Transport::flush`], so that a small response leaves in one piece.
pub(crate) trait Transport: Send {
    /// Queues the headers of a `103 Early Hints`; any number of times, before the head.
    fn early_hints(&mut self, hints: &Head);
    /// Queues status line and headers; once, before any content.
    fn head(&mut self, head: &Head);
    /// Queues content of the response.
    fn data(&mut self, content: &[u8]);
    /// Whether [`Transport::data`] can take content of this length in the cheapest way; [`Transport::pass`] waits until
    /// there is room.
    fn has_room(&self, _length: usize) -> bool {
        true
    }
    /// Sends content at once, with all that is queued: it need not be copied. Blocks.
    ///
    /// # Errors
    /// As [`Transport::flush`].
    fn pass(&mut self, content: &[u8]) -> Result<(), Gone>;
    /// Whether every [`Transport::flush`] of content has to be allowed to block.
    fn always_blocks(&self) -> bool {
        false
    }
    /// Queues content that is a piece of a file.
    fn file(&mut self, file: OwnedFd, piece: File);
    /// Queues a record for the error log, in the context of the request.
    fn log(&mut self, record: LogRecord);
    /// Queues the end of the response.
    fn end(&mut self, end: End);
    /// Queues, instead of a head, the status whose page Apache shows.
    fn fail(&mut self, status: u16);

    /// Queues the answer to a question, in place of a response.
    fn answer(&mut self, answer: &Answer);

    /// Sends what is queued: all of it if `wait` allows to block, else as much as goes at once. Returns whether
    /// everything is out.
    ///
    /// # Errors
    /// [`Gone`], and from then on always.
    fn flush(&mut self, wait: bool) -> Result<bool, Gone>;

    /// Sends what is queued when nothing follows it any more, as far as that goes at once. Returns whether everything
    /// is out, or will be sent without the GIL by the caller that gets the transport back.
    ///
    /// # Errors
    /// As [`Transport::flush`].
    fn leave(&mut self) -> Result<bool, Gone> {
        self.flush(false)
    }

    /// Puts the next piece of the request body, at most `max` bytes, behind what is in `into`; blocks. Returns whether
    /// more follows. With a `max` of 0 nothing is waited for: a client that waits for `100 Continue` gets it.
    ///
    /// # Errors
    /// If the body breaks off.
    fn pull(&mut self, max: u32, into: &mut Vec<u8>) -> Result<bool, InputError>;

    /// Returns a variable of mod_ssl about the client's connection, where that can be asked for.
    fn ssl_variable(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Returns such a variable, also where that takes an exchange with another process; blocks.
    fn ask_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.ssl_variable(name)
    }

    /// Takes the records that could not be sent because nobody is there any more.
    fn unsent(&mut self) -> Vec<LogRecord> {
        Vec::new()
    }

    /// For whoever made it, while the request goes on.
    fn as_any(&mut self) -> &mut dyn Any;

    /// Gives the transport back to its maker when the request is over.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}
