//! Conversations in which both sides speak at any time, with scripted daemons over socket pairs.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{End, File, Head, Headers, put_head};

use crate::relay::client::{Client, Peer, RequestContext, SendError, Then};
use crate::relay::connection::Connection;
use crate::relay::conversation::{Conversation, ConversationLimits};
use crate::relay::inbox::Inbox;
use crate::relay::outcome::Outcome;
use crate::relay::outflow::Outflow;
use crate::relay::records::Source;
use crate::relay::violation::Violation;

/// A client whose body is what its socket has, up to a dot.
struct Browser {
    socket: UnixStream,
    over: bool,
    got: Vec<u8>,
}

impl RequestContext for Browser {
    fn log(&mut self, _record: &LogRecord) {}
}

impl Peer for Browser {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn send_timeout(&self) -> Option<Duration> {
        Some(Duration::from_millis(300))
    }
}

impl Client for Browser {
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        self.take_body(max, out).map(|taken| taken.unwrap_or(false))
    }

    fn take_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<Option<bool>, BodyError> {
        if self.over {
            return Ok(Some(false));
        }
        let mut piece = vec![0; max.min(100)];
        self.socket.set_nonblocking(true).unwrap();
        match self.socket.read(&mut piece) {
            Ok(length) => {
                let text = &piece[..length];
                self.over = text.ends_with(b".");
                out.extend_from_slice(text.strip_suffix(b".").unwrap_or(text));
                Ok(Some(!out.is_empty()))
            }
            Err(_) => Ok(None),
        }
    }

    fn body_is_over(&self) -> bool {
        self.over
    }

    fn look_ahead(&mut self) -> Result<(), BodyError> {
        // What is there is no whole body, unless it ends with the dot.
        let mut there = [0; 100];
        self.socket.set_nonblocking(true).unwrap();
        let length = rustix::net::recv(&self.socket, &mut there, rustix::net::RecvFlags::PEEK).unwrap().0;
        if there[..length].ends_with(b".") { Ok(()) } else { Err(BodyError::Aborted) }
    }

    fn early_hints(&mut self, _headers: Headers<'_>) {}

    fn head(&mut self, _head: &Head<'_>) -> Result<(), u16> {
        Ok(())
    }

    fn data(&mut self, pieces: &[&[u8]], _then: Then) -> Result<(), SendError> {
        self.got.extend(pieces.concat());
        Ok(())
    }

    fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), SendError> {
        Ok(())
    }
}

static LOGGED: Budget = Budget::new();

const REQUEST: &[u8] = b"request";

/// The process's end of a connection.
struct Daemon(UnixStream);

impl Daemon {
    fn say(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        frame::put(&mut out, kind, write).unwrap();
        self.0.write_all(&out).unwrap();
    }

    fn pull(&mut self) {
        self.say(Kind::Pull, |out| 50u32.put(out));
    }

    fn head(&mut self) {
        self.say(Kind::Head, |out| put_head(out, 200, b"", std::iter::empty()));
    }

    fn data(&mut self, text: &str) {
        self.say(Kind::Data, |out| out.extend_from_slice(text.as_bytes()));
    }

    fn end(&mut self) {
        self.say(Kind::End, |out| End::Complete.put(out));
    }

    /// Waits until the child has no more use for the connection.
    fn ends(mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "nothing more comes");
    }

    /// Waits until the child has let go of the connection, whatever it has sent before.
    fn until_closed(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new());
    }

    fn hears(&mut self) -> (Kind, String) {
        let mut data = vec![0; frame::HEADER];
        self.0.read_exact(&mut data).unwrap();
        data.resize(frame::needed(&data), 0);
        self.0.read_exact(&mut data[frame::HEADER..]).unwrap();
        let frame = frame::first(&data).unwrap().unwrap();
        (frame.kind, String::from_utf8_lossy(frame.payload).into_owned())
    }
}

/// The outcome of a conversation of this daemon, and what the client, who has this socket, has got.
fn converse(has_body: bool, script: impl FnOnce(Daemon, UnixStream) + Send) -> (Outcome, String) {
    converse_within(Duration::from_secs(20), has_body, script)
}

/// As [`converse`], with a process that may be silent for so long.
fn converse_within(
    silence: Duration,
    has_body: bool,
    script: impl FnOnce(Daemon, UnixStream) + Send,
) -> (Outcome, String) {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let (client, socket) = UnixStream::pair().unwrap();
    let mut browser = Browser { socket, over: !has_body, got: Vec::new() };
    let limits = ConversationLimits {
        flush_delay: Duration::ZERO,
        queue: None,
        silence,
        answered: &|| {},
        done: &|| {},
        ended: &|| false,
        source: Source { process: 1, used: &LOGGED, rate: Rate::of_log(1) },
        duplex: true,
    };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut daemon = Daemon(theirs);
            daemon.0.read_exact(&mut [0; REQUEST.len()]).unwrap();
            script(daemon, client);
        });
        let (mut inbox, mut outflow) = (Inbox::default(), Outflow::default());
        // Its end is what the daemon waits for.
        let connection = Connection::over(ours, 1, 2);
        let outcome = Conversation::new(&connection, &mut inbox, &mut browser, &mut outflow, limits).run(REQUEST);
        (outcome, String::from_utf8_lossy(&browser.got).into_owned())
    })
}

#[test]
fn the_response_goes_on_while_a_piece_of_the_body_is_waited_for() {
    let (outcome, got) = converse(true, |mut daemon, mut client| {
        daemon.pull();
        daemon.head();
        daemon.data("before ");
        client.write_all(b"first").unwrap();
        assert_eq!(daemon.hears(), (Kind::Body, "first".into()));
        daemon.pull();
        daemon.data("between ");
        client.write_all(b"second.").unwrap();
        assert_eq!(daemon.hears(), (Kind::Body, "second".into()));
        daemon.pull();
        assert_eq!(daemon.hears().0, Kind::BodyEnd);
        daemon.data("after");
        daemon.end();
        daemon.ends();
    });
    assert_eq!((outcome, got.as_str()), (Outcome::Complete, "before between after"));
}

#[test]
fn a_question_that_is_open_at_the_end_is_void() {
    let (outcome, got) = converse(true, |mut daemon, _client| {
        daemon.pull();
        daemon.head();
        daemon.data("early");
        daemon.end();
        daemon.ends();
    });
    assert_eq!((outcome, got.as_str()), (Outcome::Complete, "early"));
}

#[test]
fn one_piece_is_asked_for_at_a_time() {
    let (outcome, _) = converse(true, |mut daemon, _client| {
        daemon.pull();
        daemon.pull();
        daemon.until_closed();
    });
    assert_eq!(outcome, Outcome::Violated(Violation::OutOfPlace(Kind::Pull), false));
    let (outcome, _) = converse(true, |mut daemon, _client| {
        daemon.say(Kind::Pull, |out| 0u32.put(out));
        daemon.until_closed();
    });
    assert_eq!(outcome, Outcome::Violated(Violation::OutOfPlace(Kind::Pull), false));
}

#[test]
fn a_client_that_sends_nothing_more_is_told_of_once_and_gets_its_response() {
    let (outcome, got) = converse(false, |mut daemon, client| {
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(daemon.hears(), (Kind::Disconnect, String::new()));
        daemon.head();
        daemon.data("all the same");
        daemon.end();
        daemon.ends();
    });
    assert_eq!((outcome, got.as_str()), (Outcome::Complete, "all the same"));
}

#[test]
fn what_has_come_of_a_body_is_given_before_its_end() {
    let (outcome, _) = converse(true, |mut daemon, mut client| {
        client.write_all(b"all of it.").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        daemon.pull();
        assert_eq!(daemon.hears(), (Kind::Body, "all of it".into()));
        assert_eq!(daemon.hears().0, Kind::Disconnect);
        daemon.head();
        daemon.end();
        daemon.ends();
    });
    assert_eq!(outcome, Outcome::Complete);
}

#[test]
fn a_body_that_breaks_off_is_told_of_before_more_of_it_is_asked_for() {
    let (outcome, _) = converse(true, |mut daemon, mut client| {
        client.write_all(b"a part").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (kind, error) = daemon.hears();
        assert_eq!((kind, error.as_bytes()), (Kind::BodyError, &[BodyError::Aborted as u8][..]));
        daemon.head();
        daemon.end();
        daemon.ends();
    });
    assert_eq!(outcome, Outcome::Complete);
}

#[test]
fn a_client_that_is_gone_ends_the_conversation() {
    let (outcome, _) = converse(false, |daemon, client| {
        drop(client);
        // The process is told by the end of the connection.
        daemon.ends();
    });
    assert_eq!(outcome, Outcome::ClientGone);
}

#[test]
fn a_client_that_does_not_send_on_is_late() {
    let (outcome, _) = converse(true, |mut daemon, _client| {
        daemon.pull();
        let (kind, error) = daemon.hears();
        assert_eq!((kind, error.as_bytes()), (Kind::BodyError, &[BodyError::TimedOut as u8][..]));
        daemon.head();
        daemon.end();
        daemon.ends();
    });
    assert_eq!(outcome, Outcome::Complete);
}

#[test]
fn to_ask_for_what_is_over_is_no_progress() {
    let silence = Duration::from_millis(200);
    let (outcome, _) = converse_within(silence, false, |mut daemon, _client| {
        let mut data = [0; 64];
        loop {
            let mut out = Vec::new();
            frame::put(&mut out, Kind::Pull, |out| 50u32.put(out)).unwrap();
            if daemon.0.write_all(&out).is_err() || !matches!(daemon.0.read(&mut data), Ok(read) if read > 0) {
                return;
            }
        }
    });
    assert_eq!(outcome, Outcome::TimedOut(false));
}
