//! One request in embedded mode: what the engine asks for and hands over goes to the same [`Client`] that a daemon's
//! frames go to.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use wsgi_unix::descriptor::{self, OwnedFd};
use wsgi_unix::kept_memory::Kept;
use wsgi_wire::codec::Wire;
use wsgi_wire::embedded::{Host, View};
use wsgi_wire::frame::Kind;
use wsgi_wire::header::HintsLeft;
use wsgi_wire::limits;
use wsgi_wire::messages::internal;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::report::ProcessRecord;
use wsgi_wire::response::{End, Fail, File, Head, Headers};

use super::engine::Engine;
use crate::httpd::guard::{self, Found, Pulled, Written};
use crate::httpd::{log, scoreboard};
use crate::relay::client::{Client, SendError, Then};
use crate::relay::outcome::Outcome;
use crate::relay::violation::Violation;

/// The length, bytes, from which content is passed down at once. Shorter content waits for what comes next, so that the
/// end can leave together with it; to copy more than this costs more than to pass the end down alone.
const LARGE: usize = 64 << 10;

/// A request while the engine has it.
struct Call<'c, C> {
    client: &'c mut C,
    /// What the last `pull` read.
    body: Kept,
    /// Content that waits for what comes next: if that is the end, they leave together.
    pending: Vec<u8>,
    headed: bool,
    /// How many hints the application may still give.
    hints: HintsLeft,
    /// Whether all content has gone down, its end too.
    ended: bool,
    outcome: Option<Outcome>,
}

/// Has a request answered by the engine of this child. `request_rec` is for the application, or null.
pub fn serve<C: Client>(
    engine: Engine,
    client: &mut C,
    request_rec: *mut c_void,
    route: &[u8],
    request: &[u8],
) -> Outcome {
    let (headed, hints, ended) = (false, HintsLeft::default(), false);
    let mut call = Call { client, body: Kept::default(), pending: Vec::new(), headed, hints, ended, outcome: None };
    let request_of_ours = (&raw mut call).cast();
    let host = Host {
        request: request_of_ours,
        request_rec,
        send_frame: send_frame::<C>,
        flush: flush::<C>,
        pull: pull::<C>,
        ssl_variable: ssl_variable::<C>,
    };
    let served = engine.serve(&host, route, request);
    match call.outcome {
        Some(outcome @ (Outcome::ClientGone | Outcome::Violated(..))) => outcome,
        Some(outcome) if served => outcome,
        _ => Outcome::Lost(call.headed),
    }
}

impl<C: Client> Call<'_, C> {
    /// One frame of the response.
    fn frame(&mut self, kind: Kind, payload: &[u8], file: Option<OwnedFd>) -> Result<(), SendError> {
        let malformed = Violation::from;
        match kind {
            Kind::Log => {
                match LogRecord::from_bytes(payload) {
                    Ok(record) => self.client.log(&record),
                    Err(_) => self
                        .client
                        .tell(&internal::RECORD_NOT_UNDERSTOOD, "a log record of the engine is not understood"),
                }
                return Ok(());
            }
            // The answer is over already.
            _ if self.outcome.is_some() => return Err(SendError::Gone),
            Kind::EarlyHints if !self.headed => {
                if !self.hints.take(payload.len()) {
                    return Err(Violation::Hints.into());
                }
                self.client.early_hints(Headers::decode(payload).map_err(malformed)?);
            }
            Kind::Head if !self.headed => {
                let head = Head::decode(payload).map_err(malformed)?;
                self.headed = true;
                if let Err(status) = self.client.head(&head) {
                    self.outcome = Some(Outcome::Refused(status));
                    return Err(SendError::Gone);
                }
            }
            Kind::Data if self.headed && !self.ended => {
                self.pass_pending(Then::More)?;
                if payload.len() > LARGE {
                    self.client.data(&[payload], Then::More)?;
                } else {
                    self.pending.extend_from_slice(payload);
                }
            }
            Kind::File if self.headed && !self.ended => {
                self.pass_pending(Then::More)?;
                let piece = File::from_bytes(payload).map_err(malformed)?;
                self.client.file(file.ok_or(Violation::NoDescriptor)?, &piece)?;
                self.ended = piece.whole;
            }
            Kind::End if self.headed => {
                let end = End::from_bytes(payload).map_err(malformed)?;
                match end {
                    // The client has a whole response, whatever became of the application afterwards.
                    _ if self.ended => {}
                    End::Complete => {
                        let content = std::mem::take(&mut self.pending);
                        let pieces: &[&[u8]] = if content.is_empty() { &[] } else { &[&content] };
                        self.client.data(pieces, Then::End)?;
                    }
                    End::Short => self.pass_pending(Then::Flush)?,
                    End::Truncated => self.pass_pending(Then::More)?,
                }
                let is_whole = self.ended || end == End::Complete;
                self.outcome = Some(if is_whole { Outcome::Complete } else { Outcome::Truncated });
            }
            Kind::Fail if !self.headed => {
                let fail = Fail::from_bytes(payload).map_err(malformed)?;
                self.outcome = Some(Outcome::Failed(fail.status));
            }
            Kind::Answer if !self.headed => {
                self.client.answer(Answer::from_bytes(payload).map_err(malformed)?)?;
                self.outcome = Some(Outcome::Complete);
            }
            kind => return Err(Violation::OutOfPlace(kind).into()),
        }
        Ok(())
    }

    fn pass_pending(&mut self, then: Then) -> Result<(), SendError> {
        if self.ended || self.pending.is_empty() && then != Then::Flush {
            return Ok(());
        }
        let content = std::mem::take(&mut self.pending);
        let pieces: &[&[u8]] = if content.is_empty() { &[] } else { &[&content] };
        self.client.data(pieces, then)
    }

    fn noted(&mut self, result: Result<(), SendError>) -> Written {
        let Err(halt) = result else { return Written(0) };
        self.outcome.get_or_insert(match halt {
            SendError::Gone => Outcome::ClientGone,
            SendError::Refused(violation) => Outcome::Violated(violation, self.headed),
            SendError::Unkept(error) => Outcome::Unkept(error),
        });
        Written(-1)
    }
}

/// The call behind a host.
///
/// # Safety
/// `request` is that of the [`Host`] made by [`serve`] for the same `C`, during its call of the engine; nobody else
/// uses it meanwhile.
unsafe fn call_of<'a, C>(request: *mut c_void) -> &'a mut Call<'a, C> {
    // SAFETY: the caller's duty.
    unsafe { &mut *request.cast::<Call<'a, C>>() }
}

thread_local! {
    /// The encoded scoreboard that this thread was given last.
    static SCOREBOARD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives the engine Apache's scoreboard: [`wsgi_wire::embedded::Scoreboard`].
pub(super) unsafe extern "C" fn scoreboard(into: *mut View) {
    guard::enter("server metrics", || {
        SCOREBOARD.with_borrow_mut(|encoded| {
            *encoded = scoreboard::read().map(|scoreboard| scoreboard.to_bytes()).unwrap_or_default();
            // SAFETY: the engine passes a valid place; the bytes stay as they are until the next call on this thread.
            unsafe { ptr::write(into, View::of(encoded)) };
        });
    });
}

/// Writes a record of the engine: [`wsgi_wire::embedded::Logger`].
pub(super) unsafe extern "C" fn record(record: View) {
    guard::enter("a record", || {
        // SAFETY: the view is valid during the call.
        let record = unsafe { std::slice::from_raw_parts(record.start, record.length) };
        match ProcessRecord::from_bytes(record) {
            Ok(record) => log::embedded(&record),
            Err(_) => log::main(
                &internal::RECORD_NOT_UNDERSTOOD,
                format_args!("a log record of the engine is not understood"),
            ),
        }
    });
}

unsafe extern "C" fn send_frame<C: Client>(request: *mut c_void, kind: u8, payload: View, descriptor: c_int) -> c_int {
    let take = || {
        // SAFETY: the engine hands the descriptor over.
        let file = unsafe { descriptor::handed_over(descriptor) };
        // SAFETY: the engine calls back with the host that it got, from one thread at a time.
        let call = unsafe { call_of::<C>(request) };
        // SAFETY: valid during the call.
        let payload = unsafe { std::slice::from_raw_parts(payload.start, payload.length) };
        let Ok(kind) = Kind::try_from(kind) else { return Written(-1) };
        let result = call.frame(kind, payload, file);
        call.noted(result)
    };
    guard::enter("a piece of a response", take).0
}

unsafe extern "C" fn flush<C: Client>(request: *mut c_void) -> c_int {
    let flush = || {
        // SAFETY: as in `take`.
        let call = unsafe { call_of::<C>(request) };
        let result = call.pass_pending(Then::Flush);
        call.noted(result)
    };
    guard::enter("a flush", flush).0
}

unsafe extern "C" fn pull<C: Client>(request: *mut c_void, max: u32, into: *mut View) -> c_int {
    let pull = || {
        // SAFETY: as in `take`.
        let call = unsafe { call_of::<C>(request) };
        if call.body.capacity() == 0 {
            call.body = Kept::take();
        }
        call.body.clear();
        let kind = match call.client.read_body(max.min(limits::PULL) as usize, &mut call.body) {
            Ok(true) => Kind::Body,
            Ok(false) => Kind::BodyEnd,
            Err(error) => {
                call.body = error.to_bytes().into();
                Kind::BodyError
            }
        };
        // SAFETY: the engine passes a valid place; the body stays as it is until the next call.
        unsafe { ptr::write(into, View::of(&call.body)) };
        Pulled(c_int::from(kind as u8))
    };
    guard::enter("a read of a request body", pull).0
}

unsafe extern "C" fn ssl_variable<C: Client>(request: *mut c_void, name: View, into: *mut View) -> c_int {
    let find = || {
        // SAFETY: as in `take`.
        let call = unsafe { call_of::<C>(request) };
        // SAFETY: valid during the call.
        let name = unsafe { std::slice::from_raw_parts(name.start, name.length) };
        let Some(value) = call.client.ssl_variable(name) else { return Found(0) };
        call.body = value.into();
        // SAFETY: as in `pull`.
        unsafe { ptr::write(into, View::of(&call.body)) };
        Found(1)
    };
    guard::enter("a variable of mod_ssl", find).0
}
