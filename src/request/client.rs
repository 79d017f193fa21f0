//! An HTTP client behind Apache, as the relay sees it.
#![forbid(unsafe_code)]

mod content;
mod ending;
mod named_file;
mod unwound;
mod websocket;

use std::time::Duration;

use wsgi_unix::descriptor::OwnedFd;
#[cfg(unix)]
use wsgi_unix::fork::mapped::Outside;
use wsgi_unix::panics;
use wsgi_wire::frame::Kind;
use wsgi_wire::messages::requests;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{File, Head, Headers};
use wsgi_wire::table::Places;
use wsgi_wire::websocket::Accept;
use wsgi_wire::{header, limits};

use super::client_body::ClientBody;
use super::client_websocket::ClientWebSocket;
use super::context::OfApache;
use super::guarded;
use super::guarded_file::{self, GuardedFile};
use super::linger;
use super::response_head::{self, Disposition};
use super::spool::Spool;
use crate::directives::settings::RequestSettings;
use crate::httpd::body::Taken;
use crate::httpd::file_content::{self, FileWays};
use crate::httpd::log::Execution;
use crate::httpd::request::Request;
use crate::httpd::response::{self as httpd, ResponseBody};
use crate::httpd::socket;
use crate::policy::acceptance::BodyLength;
use crate::relay::admission::Admission;
use crate::relay::client::{Client, Gone, Peer, RequestContext, Right, SendError, Then};
#[cfg(unix)]
use crate::relay::connection::Connection;
use crate::relay::outflow;
use crate::relay::violation::Violation;
#[cfg(unix)]
use crate::relay::websocket::carrier::Carrier;

/// How many bytes of content a small response has at the most: a client whose connection takes anything takes these at
/// once.
const SMALL: u64 = outflow::MIN as u64;

/// One request of a client, and the response on its way back.
pub struct HttpClient<'c, 'r> {
    r: &'c mut Request<'r>,
    body: ClientBody<'c>,
    response: ResponseBody,
    disposition: Disposition,
    /// The file for [`Disposition::File`].
    guarded: Option<GuardedFile>,
    /// How many bytes of the announced length are still to come.
    left: Option<u64>,
    /// Whether the status allows content; what the process sends all the same is left out.
    has_content: bool,
    /// Whether content has been taken.
    begun: bool,
    /// Whether header lines that follow it have been.
    trails: bool,
    /// Whether the filters make a file of the content, so that `Range` counts.
    ranges: bool,
    /// How many files wait to be passed down.
    waiting_files: usize,
    /// Whether the whole response, a small one, is kept for [`Self::send_end`].
    held: bool,
    /// The group's threads that may wait for a client that shares its connection with others.
    waits: Option<Waits>,
    /// The WebSocket that the client asks for.
    websocket: Option<ClientWebSocket>,
    rules: ResponseRules,
    place: Execution<'c>,
}

/// How many threads of a group may wait for clients.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Those that are taken.
    pub places: &'static Places,
    /// How many where the process could be done soon otherwise.
    pub usual: u32,
    /// How many in any case.
    pub pressing: u32,
}

/// The rules for responses of an application, which depend on where it runs.
#[derive(Debug, Clone, Copy)]
pub struct ResponseRules {
    /// The longest line of a response head, bytes.
    pub header_limit: usize,
    /// Whether, as for CGI scripts, 200 with a local Location makes Apache serve that URL instead, and
    /// WSGIErrorOverride counts: in daemon mode.
    pub as_cgi: bool,
}

impl<'c, 'r> HttpClient<'c, 'r> {
    /// Makes the client of a request.
    pub fn new(r: &'c mut Request<'r>, length: BodyLength, rules: ResponseRules, place: Execution<'c>) -> Self {
        let (body, response) = (ClientBody::new(r, length), ResponseBody::new(r));
        Self {
            r,
            body,
            response,
            disposition: Disposition::Send,
            guarded: None,
            left: None,
            has_content: true,
            begun: false,
            trails: false,
            ranges: false,
            waiting_files: 0,
            held: false,
            waits: None,
            websocket: None,
            rules,
            place,
        }
    }

    /// Bounds how many threads of a group wait for clients that share their connection with others (HTTP/2): nobody
    /// can tell what such a client takes.
    pub fn shares_waits(&mut self, waits: impl FnOnce() -> Waits) {
        self.waits = self.socket().is_none().then(waits);
    }

    /// Takes back what has been read of the body: the next [`Client::read_body`] gives it again.
    pub fn put_back(&mut self, body: Spool) {
        self.body.put_back(body);
    }

    /// Keeps the right to have a thread until the body is all there.
    pub fn holds(&mut self, upload: Admission<'c>) {
        self.body.holds(upload);
    }

    /// Reads ahead, waiting for something or not. `None`: the body breaks off or is invalid; whoever reads it then
    /// hears why, and only then the failure decides about the response.
    pub fn read_ahead(&mut self, max: usize, out: &mut Vec<u8>, wait: bool) -> Option<Taken> {
        self.body.read_ahead(self.r, max, out, wait)
    }

    /// Whether nothing comes from the client for this long, as far as that can be told.
    pub fn pauses(&self, wait: Duration) -> bool {
        socket::is_silent(self.r, wait)
    }

    /// The request in httpd's hands.
    pub fn request(&mut self) -> &mut Request<'r> {
        self.r
    }

    /// What is to be done when the response is over.
    pub fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    /// The status of a request body that could not be read: it says more than the application's failure that followed
    /// from it.
    pub fn body_failure(&self) -> Option<u16> {
        self.body.failure()
    }

    /// Whether the engine in this Apache child answers, and no daemon process.
    pub fn is_embedded(&self) -> bool {
        self.place.process_group.is_empty()
    }

    /// Whether the client may have got a part of the response.
    pub fn has_passed(&self) -> bool {
        self.response.passed()
    }

    /// Ends a response that is not whole, so that the client can tell.
    pub fn abort(&mut self) {
        self.response.abort(self.r);
    }

    /// Whether these pieces are the whole of a small response to a request that has its client's connection for itself.
    fn is_small(&self, pieces: &[&[u8]]) -> bool {
        let length: usize = pieces.iter().map(|p| p.len()).sum();
        let is_whole = !self.response.passed() && self.waiting_files == 0;
        is_whole && length as u64 <= SMALL && !self.r.is_part() && !self.r.shares_connection()
    }

    /// Decides how Apache may send a file. It may use sendfile only where nothing on the way reads the file, so that it
    /// costs no read, and for a whole file, because that stays open until the request is over.
    fn file_ways(&self, piece: &File, wanted: bool) -> FileWays {
        let (r, core) = (&self.r, self.r.core_flags());
        let sendfile = core.sendfile && wanted && piece.whole && !r.has_content_filter() && !r.is_https();
        FileWays { mmap: core.mmap, sendfile }
    }

    fn pass(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), Gone> {
        self.waiting_files = 0;
        let passed = self.response.pass(self.r, pieces, then);
        panics::point("response: passed");
        passed
    }
}

impl OfApache for HttpClient<'_, '_> {
    fn context(&self) -> (&Request<'_>, Execution<'_>) {
        (self.r, self.place)
    }
}

impl Client for HttpClient<'_, '_> {
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        panics::point("request: body");
        self.body.read(self.r, max, out)
    }

    fn take_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<Option<bool>, BodyError> {
        self.body.take(self.r, max, out)
    }

    fn look_ahead(&mut self) -> Result<(), BodyError> {
        self.body.look_ahead(self.r)
    }

    fn body_is_late(&mut self) -> BodyError {
        self.body.is_late()
    }

    fn body_is_over(&self) -> bool {
        self.body.is_over()
    }

    fn is_taken(&mut self) {
        self.body.let_client_begin(self.r);
    }

    fn flows(&self) {
        // Only a worker whose request is over hears of its end: not one of HTTP/2, and not that of a part of a page.
        if !self.r.shares_connection() && !self.r.is_part() {
            linger::flows();
        }
    }

    fn right_to_wait(&self, pressing: bool) -> Option<Right> {
        let Some(Waits { places, usual, pressing: max }) = self.waits else { return Some(None) };
        Admission::new(places, if pressing { max } else { usual }).map(Some)
    }

    fn early_hints(&mut self, headers: Headers<'_>) {
        httpd::send_early_hints(self.r, response_head::hints(headers));
    }

    fn head(&mut self, head: &Head<'_>) -> Result<(), u16> {
        panics::point("response: head");
        if let Some(name) = response_head::too_long(head, self.rules.header_limit) {
            let text = format!(
                "the response header {} is longer than header-buffer-size={} allows; raise this option of WSGIDaemonProcess",
                String::from_utf8_lossy(name),
                self.rules.header_limit
            );
            self.tell(&requests::HEADER_TOO_LONG, &text);
            return Err(500);
        }
        let override_errors =
            self.rules.as_cgi && self.r.settings::<RequestSettings>().and_then(|s| s.error_override).unwrap_or(false);
        self.disposition = match self.body.refusal() {
            Some(status) => Disposition::Replace(status),
            None => response_head::judge(head, override_errors, self.rules.as_cgi),
        };
        let roots = self.r.settings::<RequestSettings>().and_then(|s| s.sendfile_roots.clone());
        let named = roots.and_then(|roots| Some((guarded_file::named(head)?, roots)));
        if let (Some((named, roots)), Disposition::Send, 200) = (&named, &self.disposition, head.status) {
            let file = guarded::open(*named, roots).map_err(|refusal| {
                self.tell(&requests::GUARDED_FILE_NOT_FOUND, &refusal.to_string());
                refusal.status()
            })?;
            self.guarded = Some(file);
            self.disposition = Disposition::File;
        }
        match &self.disposition {
            Disposition::File => response_head::apply_to_file(self.r, head),
            Disposition::Send => {
                match named {
                    Some(_) => response_head::apply_to_client(self.r, head),
                    None => response_head::apply(self.r, head),
                }
                (self.left, self.has_content) = (head.length, header::has_content(head.status));
                self.ranges = self.r.takes_ranges() && response_head::is_replaced_by_a_file(self.r, head);
            }
            Disposition::Replace(_) => response_head::apply_to_error(self.r, head),
            Disposition::Redirect(_) => response_head::apply_to_redirect(self.r, head),
        }
        Ok(())
    }

    fn trailers(&mut self, headers: Headers<'_>) -> Result<(), SendError> {
        Ok(self.take_trailers(headers)?)
    }

    fn accept(&mut self, accept: &Accept<'_>) -> Result<(), SendError> {
        let websocket = self.websocket.as_mut().ok_or(Violation::OutOfPlace(Kind::Accept))?;
        websocket.accept(self.r, accept)
    }

    fn deflates(&self) -> bool {
        self.websocket.as_ref().is_some_and(ClientWebSocket::is_deflate)
    }

    #[cfg(unix)]
    fn hand_over(&mut self, connection: Connection, carrier: Carrier) -> Result<(), Box<(Connection, Carrier)>> {
        match &mut self.websocket {
            Some(websocket) => websocket.leave(self.r, self.place, connection, carrier),
            None => Err(Box::new((connection, carrier))),
        }
    }

    fn wants_content(&self) -> bool {
        self.disposition == Disposition::Send && self.has_content && !self.r.is_head()
    }

    fn data(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), SendError> {
        if self.disposition != Disposition::Send {
            return Ok(());
        }
        let pieces = if self.has_content { pieces } else { &[] };
        self.begin_content(pieces.iter().map(|p| p.len() as u64).sum(), then)?;
        if then == Then::End && self.is_small(pieces) {
            self.response.hold_whole(self.r, pieces);
            self.held = true;
            return Ok(());
        }
        Ok(self.pass(pieces, then)?)
    }

    fn takes_unseen(&self) -> bool {
        self.r.sends_unseen()
    }

    #[cfg(unix)]
    fn unseen(&mut self, pieces: &[Outside<'_>], then: Then) -> Result<(), SendError> {
        self.send_unseen(pieces, then)
    }

    fn file(&mut self, file: OwnedFd, piece: &File) -> Result<(), SendError> {
        if self.disposition != Disposition::Send {
            return Ok(());
        }
        let sendable = file_content::check(&file, piece).map_err(Violation::from)?;
        if piece.whole && self.begun {
            return Err(Violation::OutOfPlace(Kind::File).into());
        }
        if self.has_content {
            self.count(piece.length)?;
        }
        // Of a whole one Apache finds the length, which an answer to HEAD tells.
        if self.wants_content() || self.has_content && piece.whole {
            let wanted = self.r.settings::<RequestSettings>().and_then(|s| s.enable_sendfile).unwrap_or(false);
            let ways = self.file_ways(piece, wanted);
            self.response.add_file(self.r, file, sendable, ways)?;
            self.waiting_files += 1;
        }
        if piece.whole {
            self.check_length()?;
            if !self.r.takes_ranges() {
                httpd::answer_no_ranges(self.r);
            }
            self.pass(&[], Then::End)?;
        } else if self.waiting_files >= limits::FILES_WAITING {
            self.data(&[], Then::Flush)?;
        }
        Ok(())
    }
}
