//! Conversations with scripted daemons over socket pairs.

mod shared;

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::{Bytes, DecodeError, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::messages::{Message, Topic};
use wsgi_wire::question::Answer;
use wsgi_wire::record::{LogRecord, Writer};
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{End, Fail, File, Head, Headers, Reject, put_head, put_headers};

use super::{Conversation, ConversationLimits, Outcome};
use crate::relay::client::{Client, Peer, RequestContext, SendError, Then};
use crate::relay::connection::Connection;
use crate::relay::inbox::Inbox;
use crate::relay::outflow::Outflow;
use crate::relay::records::Source;
use crate::relay::violation::Violation;

/// A client that writes down what happens to it.
#[derive(Default)]
struct Recorder {
    events: Vec<String>,
    body: Vec<Vec<u8>>,
    gone_after: Option<usize>,
    /// Whether it has asked a question.
    asks: bool,
    /// Hears of each flush.
    flushed: Option<Sender<()>>,
}

impl RequestContext for Recorder {
    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.events.push(format!("variable {}", String::from_utf8_lossy(name)));
        (name != b"SSL_LONG").then(|| b"value".to_vec()).or_else(|| Some(vec![b'x'; limits::VARIABLE + 1]))
    }

    fn log(&mut self, record: &LogRecord) {
        self.events.push(format!("log {} {}", record.level.name(), String::from_utf8_lossy(&record.message)));
    }

    fn tell(&mut self, message: &'static Message, text: &str) {
        self.events.push(format!("log {} {text}", message.level.name()));
    }
}

impl Peer for Recorder {}

impl Client for Recorder {
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        self.events.push(format!("read {max}"));
        match self.body.pop() {
            Some(piece) if piece == b"broken" => Err(BodyError::Aborted),
            Some(piece) => {
                out.extend_from_slice(&piece);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn early_hints(&mut self, headers: Headers<'_>) {
        self.events.push(format!("hints {}", headers.count()));
    }

    fn head(&mut self, head: &Head<'_>) -> Result<(), u16> {
        self.events.push(format!("head {}", head.status));
        if head.status == 599 { Err(500) } else { Ok(()) }
    }

    fn answer(&mut self, answer: Answer) -> Result<(), Violation> {
        self.events.push(format!("answer {answer:?}"));
        if self.asks { Ok(()) } else { Err(Violation::OutOfPlace(Kind::Answer)) }
    }

    fn data(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), SendError> {
        let content = pieces.concat();
        if content == b"too much" {
            return Err(Violation::Overlong.into());
        }
        self.events.push(format!("{} {then:?}", String::from_utf8_lossy(&content)));
        if let (Some(flushed), Then::Flush) = (&self.flushed, then) {
            flushed.send(()).unwrap();
        }
        if self.gone_after.is_some_and(|n| self.events.len() > n) { Err(SendError::Gone) } else { Ok(()) }
    }

    fn file(&mut self, _file: OwnedFd, piece: &File) -> Result<(), SendError> {
        self.events.push(format!("file {}+{}", piece.offset, piece.length));
        Ok(())
    }
}

fn frame_of(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(&mut out, kind, |out| out.extend_from_slice(payload)).unwrap();
    out
}

fn head(status: u16) -> Vec<u8> {
    let mut payload = Vec::new();
    put_head(&mut payload, status, b"Reason", std::iter::empty());
    frame_of(Kind::Head, &payload)
}

fn data(content: &str) -> Vec<u8> {
    frame_of(Kind::Data, content.as_bytes())
}

fn end(how: End) -> Vec<u8> {
    frame_of(Kind::End, &how.to_bytes())
}

const REQUEST: &[u8] = b"request";

/// Reads one frame of the child's.
fn take(daemon: &mut UnixStream) -> (Kind, Vec<u8>) {
    let mut data = vec![0; frame::HEADER];
    daemon.read_exact(&mut data).unwrap();
    let needed = frame::needed(&data);
    data.resize(needed, 0);
    daemon.read_exact(&mut data[frame::HEADER..]).unwrap();
    let frame = frame::first(&data).unwrap().unwrap();
    (frame.kind, frame.payload.to_vec())
}

static LOGGED: Budget = Budget::new();

fn limits() -> ConversationLimits<'static> {
    ConversationLimits {
        flush_delay: Duration::ZERO,
        queue: None,
        silence: SILENCE,
        answered: &|| {},
        done: &|| {},
        ended: &|| false,
        source: Source { process: 1, used: &LOGGED, rate: Rate::of_log(1) },
        duplex: false,
    }
}

/// The silence that ends a conversation where that is what a test is about.
const SILENCE: Duration = Duration::from_millis(150);

/// Runs a conversation with a daemon that has read the request and then does as it is told, however long that takes on
/// a busy machine.
fn converse(client: &mut Recorder, daemon: impl FnOnce(UnixStream) + Send) -> Outcome {
    converse_within(Duration::from_secs(20), client, daemon)
}

/// As [`converse`], with a daemon that may be silent for so long.
fn converse_within(silence: Duration, client: &mut Recorder, daemon: impl FnOnce(UnixStream) + Send) -> Outcome {
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(silence)).unwrap();
    let limits = ConversationLimits { silence, ..limits() };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            theirs.read_exact(&mut [0; REQUEST.len()]).unwrap();
            daemon(theirs);
        });
        let connection = Connection::over(ours, 1, 2);
        Conversation::new(&connection, &mut Inbox::default(), client, &mut Outflow::default(), limits).run(REQUEST)
    })
}

/// Keeps the daemon's end open until the child has no more use for the connection.
fn until_closed(mut daemon: UnixStream) {
    // Whether it is a reset does not matter.
    let _ = daemon.read_to_end(&mut Vec::new());
}

/// The outcome and events of an answer that is sent at once.
fn answer(frames: &[Vec<u8>]) -> (Outcome, Vec<String>) {
    let (mut client, answer) = (Recorder::default(), frames.concat());
    let outcome = converse(&mut client, |mut daemon| daemon.write_all(&answer).unwrap());
    (outcome, client.events)
}

#[test]
fn a_small_response_goes_down_in_one_piece() {
    let (outcome, events) = answer(&[head(200), data("hello"), end(End::Complete)]);
    assert_eq!((outcome, events), (Outcome::Complete, vec!["head 200".into(), "hello End".into()]));
    let (outcome, events) = answer(&[head(204), end(End::Complete)]);
    assert_eq!((outcome, events), (Outcome::Complete, vec!["head 204".into(), " End".into()]));
}

/// Sends bytes, and descriptors with the first of them.
fn send_with(daemon: &UnixStream, data: &[u8], passed: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::PASSED))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(passed)));
    sendmsg(daemon, &[IoSlice::new(data)], &mut ancillary, SendFlags::empty()).unwrap();
}

#[test]
fn early_hints_come_before_a_head_only() {
    let mut payload = Vec::new();
    put_headers(&mut payload, [(&b"Link"[..], &b"</a.css>"[..])].into_iter());
    let hints = frame_of(Kind::EarlyHints, &payload);
    let (outcome, events) = answer(&[hints.clone(), hints.clone(), head(204), end(End::Complete)]);
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(events, ["hints 1", "hints 1", "head 204", " End"]);
    let (outcome, _) = answer(&[head(200), hints]);
    assert_eq!(outcome, Outcome::Violated(Violation::OutOfPlace(Kind::EarlyHints), true));
}

#[test]
fn a_pause_sends_what_there_is() {
    let (flushed, is_flushed) = channel();
    let mut client = Recorder { flushed: Some(flushed), ..Default::default() };
    let outcome = converse(&mut client, move |mut daemon| {
        daemon.write_all(&[head(200), data("one")].concat()).unwrap();
        is_flushed.recv().unwrap();
        daemon.write_all(&[data("two"), end(End::Complete)].concat()).unwrap();
    });
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(client.events, ["head 200", "one More", " Flush", "two End"]);
}

#[test]
fn each_pull_gets_one_frame() {
    let mut client = Recorder { body: vec![b"world".to_vec(), b"hello ".to_vec()], ..Default::default() };
    let outcome = converse(&mut client, |mut daemon| {
        let pull = frame_of(Kind::Pull, &8u32.to_bytes());
        for expected in [(Kind::Body, &b"hello "[..]), (Kind::Body, b"world"), (Kind::BodyEnd, b"")] {
            daemon.write_all(&pull).unwrap();
            assert_eq!(take(&mut daemon), (expected.0, expected.1.to_vec()));
        }
        daemon.write_all(&[head(200), end(End::Complete)].concat()).unwrap();
    });
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(client.events[..3], ["read 8", "read 8", "read 8"]);
}

#[test]
fn a_script_hears_of_the_connection_and_of_nothing_else() {
    let mut client = Recorder { asks: true, ..Default::default() };
    let outcome = converse(&mut client, |mut daemon| {
        let told =
            [("SSL_PROTOCOL", Some(&b"value"[..])), ("ENV:SECRET", None), ("HTTP:Cookie", None), ("SSL_LONG", None)];
        for (name, expected) in told {
            daemon.write_all(&frame_of(Kind::Variable, &Bytes::from(name.as_bytes()).to_bytes())).unwrap();
            assert_eq!(take(&mut daemon), (Kind::Value, expected.map(Bytes::from).to_bytes()), "{name}");
        }
        daemon.write_all(&frame_of(Kind::Answer, &Answer::Yes.to_bytes())).unwrap();
    });
    assert_eq!(outcome, Outcome::Complete);
    assert_eq!(client.events, ["variable SSL_PROTOCOL", "variable SSL_LONG", "answer Yes"]);
}

#[test]
fn questions_about_the_connection_are_no_progress_before_a_head_and_behind_it() {
    let variable = frame_of(Kind::Variable, &Bytes::from(&b"SSL_PROTOCOL"[..]).to_bytes());
    let outcome = converse_within(SILENCE, &mut Recorder::default(), |mut daemon| {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) && daemon.write_all(&variable).is_ok() {
            // The pace of the questions, of which there may be so many only.
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(outcome, Outcome::TimedOut(false));
    let outcome = converse_within(SILENCE, &mut Recorder { asks: true, ..Default::default() }, |mut daemon| {
        daemon.write_all(&[head(200), data("a piece"), variable.clone()].concat()).unwrap();
        assert_eq!(take(&mut daemon), (Kind::Value, Some(Bytes::from(&b"value"[..])).to_bytes()));
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) && daemon.write_all(&variable).is_ok() {
            // The pace of the questions, of which there may be so many only.
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(outcome, Outcome::TimedOut(true));
}

#[test]
fn no_request_is_told_more_variables_than_may_be() {
    for (count, expected) in [
        (limits::VARIABLES, Outcome::Complete),
        (limits::VARIABLES + 1, Outcome::Violated(Violation::OutOfPlace(Kind::Variable), false)),
    ] {
        let variable = frame_of(Kind::Variable, &Bytes::from(&b"SSL_PROTOCOL"[..]).to_bytes());
        let mut client = Recorder { asks: true, ..Default::default() };
        let outcome = converse(&mut client, |mut daemon| {
            for _ in 0..count.min(limits::VARIABLES) {
                daemon.write_all(&variable).unwrap();
                take(&mut daemon);
            }
            if count > limits::VARIABLES {
                daemon.write_all(&variable).unwrap();
            }
            // The other end may have closed by now.
            let _ = daemon.write_all(&frame_of(Kind::Answer, &Answer::Yes.to_bytes()));
            until_closed(daemon);
        });
        assert_eq!(outcome, expected, "{count}");
    }
}

#[test]
fn a_broken_body_is_told_and_the_answer_still_taken() {
    let mut client = Recorder { body: vec![b"broken".to_vec()], ..Default::default() };
    let outcome = converse(&mut client, |mut daemon| {
        daemon.write_all(&frame_of(Kind::Pull, &8u32.to_bytes())).unwrap();
        assert_eq!(take(&mut daemon), (Kind::BodyError, BodyError::Aborted.to_bytes()));
        daemon.write_all(&frame_of(Kind::Fail, &Fail { status: 500 }.to_bytes())).unwrap();
    });
    assert_eq!(outcome, Outcome::Failed(500));
}

#[test]
fn the_client_sees_what_there_is_before_it_is_asked_for_more() {
    let mut client = Recorder { body: vec![b"x".to_vec()], ..Default::default() };
    converse(&mut client, |mut daemon| {
        daemon.write_all(&[head(200), data("go on"), frame_of(Kind::Pull, &8u32.to_bytes())].concat()).unwrap();
        take(&mut daemon);
        daemon.write_all(&end(End::Complete)).unwrap();
    });
    assert_eq!(client.events, ["head 200", "go on More", " Flush", "read 8", " End"]);
}

#[test]
fn a_question_has_one_answer_in_place_of_a_response() {
    let yes = frame_of(Kind::Answer, &Answer::Yes.to_bytes());
    let ask = |frames: &[Vec<u8>]| {
        let (mut client, answer) = (Recorder { asks: true, ..Recorder::default() }, frames.concat());
        let outcome = converse(&mut client, |mut daemon| daemon.write_all(&answer).unwrap());
        (outcome, client.events)
    };
    assert_eq!(ask(std::slice::from_ref(&yes)), (Outcome::Complete, vec!["answer Yes".to_owned()]));
    let refused = |violation, headed| Outcome::Violated(violation, headed);
    assert_eq!(ask(&[head(200), yes.clone()]).0, refused(Violation::OutOfPlace(Kind::Answer), true));
    let malformed = Violation::Malformed(DecodeError::Trailing(1));
    assert_eq!(ask(&[frame_of(Kind::Answer, &[2, 0])]), (refused(malformed, false), vec![]));
    assert_eq!(ask(&[]).0, Outcome::Lost(false));
    let (outcome, _) = answer(&[yes]);
    assert_eq!(outcome, refused(Violation::OutOfPlace(Kind::Answer), false), "nobody has asked");
}

#[test]
fn records_and_refusals_are_passed_on() {
    let record = LogRecord::ours(Topic::INFO, Writer { pid: 1, thread: 1 }, "trouble");
    let (outcome, events) =
        answer(&[frame_of(Kind::Log, &record.to_bytes()), frame_of(Kind::Fail, &Fail { status: 504 }.to_bytes())]);
    assert_eq!((outcome, events), (Outcome::Failed(504), vec!["log info trouble".into()]));
    let (outcome, _) = answer(&[frame_of(Kind::Reject, &Reject::Draining.to_bytes())]);
    assert_eq!(outcome, Outcome::Rejected(Reject::Draining));
    assert_eq!(answer(&[head(599), end(End::Complete)]).0, Outcome::Refused(500));
}

#[test]
fn only_an_end_makes_a_response_whole() {
    assert_eq!(answer(&[head(200), data("part"), end(End::Truncated)]).0, Outcome::Truncated);
    assert_eq!(answer(&[head(200), data("part")]).0, Outcome::Lost(true));
    assert_eq!(answer(&[]).0, Outcome::Lost(false));
}

#[test]
fn nonsense_is_not_obeyed() {
    let out_of_place = |kind, headed| Outcome::Violated(Violation::OutOfPlace(kind), headed);
    let malformed = |why: DecodeError, headed| Outcome::Violated(why.into(), headed);
    let fail = |status: u16| frame_of(Kind::Fail, &status.to_ne_bytes());
    let file = File { offset: 0, length: 1, whole: true };
    let whole = [head(200), frame_of(Kind::File, &file.to_bytes())].concat();
    for (frames, outcome) in [
        (vec![data("no head")], out_of_place(Kind::Data, false)),
        (vec![end(End::Complete)], out_of_place(Kind::End, false)),
        (vec![head(200), head(200)], out_of_place(Kind::Head, true)),
        (vec![head(200), fail(500)], out_of_place(Kind::Fail, true)),
        (vec![fail(101)], malformed(DecodeError::Unknown(101), false)),
        (vec![frame_of(Kind::Head, b"short")], malformed(DecodeError::Unknown(26_739), false)),
        (vec![frame_of(Kind::Ready, b"")], out_of_place(Kind::Ready, false)),
        (vec![vec![0xff; 16]], malformed(DecodeError::Unknown(255), false)),
        (vec![whole], Outcome::Violated(Violation::NoDescriptor, true)),
        (vec![head(200), data("too much")], Outcome::Violated(Violation::Overlong, true)),
    ] {
        assert_eq!(answer(&frames).0, outcome, "{frames:?}");
    }
}

#[test]
fn a_process_that_has_begun_with_a_request_cannot_give_it_away() {
    let reject = || frame_of(Kind::Reject, &Reject::Draining.to_bytes());
    let refused = |headed| Outcome::Violated(Violation::OutOfPlace(Kind::Reject), headed);
    assert_eq!(answer(&[head(200), reject()]).0, refused(true));
    assert_eq!(answer(&[frame_of(Kind::EarlyHints, &0u16.to_ne_bytes()), reject()]).0, refused(false));
    let mut client = Recorder { body: vec![b"a part".to_vec()], ..Default::default() };
    let outcome = converse(&mut client, |mut daemon| {
        daemon.write_all(&frame_of(Kind::Pull, &8u32.to_bytes())).unwrap();
        take(&mut daemon);
        daemon.write_all(&reject()).unwrap();
        until_closed(daemon);
    });
    assert_eq!(outcome, refused(false));
}

#[test]
fn hints_have_a_bound() {
    let hint = |bytes: usize| {
        let mut payload = Vec::new();
        put_headers(&mut payload, [(&b"X"[..], &*vec![b'y'; bytes])].into_iter());
        frame_of(Kind::EarlyHints, &payload)
    };
    let answered = |hints: Vec<Vec<u8>>| answer(&[hints.concat(), head(200), end(End::Complete)]).0;
    assert_eq!(answered((0..limits::HINTS).map(|_| hint(9)).collect()), Outcome::Complete);
    let refused = Outcome::Violated(Violation::Hints, false);
    assert_eq!(answered((0..=limits::HINTS).map(|_| hint(9)).collect()), refused);
    assert_eq!(answered(vec![hint(limits::HINTS_BYTES / 2), hint(limits::HINTS_BYTES / 2)]), refused);
}

#[test]
fn no_more_descriptors_wait_than_files_may() {
    for (count, expected) in [
        (limits::FILES_WAITING, Outcome::Complete),
        (limits::FILES_WAITING + 1, Outcome::Violated(Violation::Descriptors, false)),
    ] {
        let file = frame_of(Kind::File, &File { offset: 0, length: 0, whole: false }.to_bytes());
        let frames = [head(200), file.repeat(count), end(End::Complete)].concat();
        let outcome = converse(&mut Recorder::default(), |mut daemon| {
            let own = daemon.try_clone().unwrap();
            let passed = vec![own.as_fd(); count];
            send_with(&daemon, &frames[..1], &passed);
            // The other end may have refused it by now.
            let _ = daemon.write_all(&frames[1..]);
            drop(own);
            until_closed(daemon);
        });
        assert_eq!(outcome, expected, "{count}");
    }
}

#[test]
fn what_was_not_read_was_not_executed() {
    let (theirs, ours) = UnixStream::pair().unwrap();
    let mut connection = Connection::over(ours, 1, 2);
    let (mut inbox, mut client) = (Inbox::default(), Recorder::default());
    let run = |connection: &mut Connection, inbox: &mut Inbox, client: &mut Recorder| {
        Conversation::new(connection, inbox, client, &mut Outflow::default(), limits()).run(REQUEST)
    };
    let closer = std::thread::spawn(move || {
        // Something of the request is there, and is not read.
        poll(&mut [PollFd::new(&theirs, PollFlags::IN)], None).unwrap();
        drop(theirs);
    });
    // Closed with our request unread: a reset. Then closed before we send: a broken pipe.
    assert_eq!(run(&mut connection, &mut inbox, &mut client), Outcome::NotExecuted);
    closer.join().unwrap();
    assert_eq!(run(&mut connection, &mut inbox, &mut client), Outcome::NotExecuted);
}

#[test]
fn silence_ends_the_conversation() {
    let mut client = Recorder::default();
    assert_eq!(converse_within(SILENCE, &mut client, until_closed), Outcome::TimedOut(false));
    let outcome = converse_within(SILENCE, &mut client, |mut daemon| {
        daemon.write_all(&head(200)).unwrap();
        until_closed(daemon);
    });
    assert_eq!(outcome, Outcome::TimedOut(true));
}

#[test]
fn records_questions_and_empty_pieces_are_no_progress() {
    let record = LogRecord::ours(Topic::INFO, Writer { pid: 1, thread: 1 }, "again");
    let record = frame_of(Kind::Log, &record.to_bytes());
    for (said, headed) in [(record, false), (frame_of(Kind::Pull, &0u32.to_bytes()), false), (data(""), true)] {
        let outcome = converse_within(SILENCE, &mut Recorder::default(), |mut daemon| {
            if headed {
                daemon.write_all(&head(200)).unwrap();
            }
            // Until the child has had enough; this is the pace.
            while daemon.write_all(&said).is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        assert_eq!(outcome, Outcome::TimedOut(headed));
    }
}

#[test]
fn frames_of_another_exchange_are_no_answer() {
    let converse = |late: &[Vec<u8>]| {
        let (theirs, ours) = UnixStream::pair().unwrap();
        let mut connection = Connection::over(ours, 1, 2);
        connection.begin(b"route", &mut Vec::new()).unwrap();
        (&theirs).write_all(&late.concat()).unwrap();
        let mut client = Recorder::default();
        let outcome =
            Conversation::new(&connection, &mut Inbox::default(), &mut client, &mut Outflow::default(), limits())
                .run(REQUEST);
        (outcome, client.events)
    };
    let stray = |kind| (Outcome::Violated(Violation::Stray(kind), false), vec![]);
    assert_eq!(converse(&[head(200), data("forged"), end(End::Complete)]), stray(Kind::Head));
    let record = LogRecord::ours(Topic::INFO, Writer { pid: 1, thread: 1 }, "late");
    assert_eq!(converse(&[frame_of(Kind::Log, &record.to_bytes()), head(200)]), stray(Kind::Log));
}

#[test]
fn a_request_is_given_up_when_it_has_not_been_read_in_its_time() {
    let queue = |daemon_reads: bool| {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let connection = Connection::over(ours, 1, 2);
        let start = Instant::now();
        let limits = ConversationLimits { queue: Some(start + Duration::from_millis(50)), ..limits() };
        if daemon_reads {
            std::thread::spawn(move || {
                let _ = theirs.read_exact(&mut [0; REQUEST.len()]);
                until_closed(theirs);
            });
        } else {
            std::mem::forget(theirs);
        }
        let mut client = Recorder::default();
        let outcome =
            Conversation::new(&connection, &mut Inbox::default(), &mut client, &mut Outflow::default(), limits)
                .run(REQUEST);
        (outcome, start.elapsed())
    };
    let (outcome, took) = queue(false);
    assert_eq!(outcome, Outcome::Unread);
    assert!(took >= Duration::from_millis(50), "{took:?}");
    let (outcome, took) = queue(true);
    assert_eq!(outcome, Outcome::TimedOut(false));
    assert!(took >= Duration::from_millis(150), "{took:?}");
}

#[test]
fn when_the_process_has_ended_nobody_waits_for_what_still_holds_its_sockets() {
    let ends_after = |read: usize, said: Vec<u8>| {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let connection = Connection::over(ours, 1, 2);
        let looks = std::cell::Cell::new(0);
        let ended = || {
            looks.set(looks.get() + 1);
            let last = looks.get() == 2;
            if last {
                // It has read this much of the request, and said this, at the last moment.
                (&theirs).read_exact(&mut vec![0; read]).unwrap();
                (&theirs).write_all(&said).unwrap();
            }
            looks.get() >= 2
        };
        let limits = ConversationLimits { silence: Duration::from_secs(60), ended: &ended, ..limits() };
        let mut client = Recorder::default();
        let outcome =
            Conversation::new(&connection, &mut Inbox::default(), &mut client, &mut Outflow::default(), limits)
                .run(REQUEST);
        theirs.flush().unwrap();
        (outcome, client.events)
    };
    assert_eq!(ends_after(0, Vec::new()).0, Outcome::NotExecuted);
    assert_eq!(ends_after(REQUEST.len(), Vec::new()).0, Outcome::Lost(false));
    assert_eq!(ends_after(REQUEST.len(), head(200)).0, Outcome::Lost(true));
    let whole = ends_after(REQUEST.len(), [head(200), data("all"), end(End::Complete)].concat());
    assert_eq!(whole, (Outcome::Complete, vec!["head 200".into(), "all End".into()]));
}

#[test]
fn nobody_reads_on_for_a_client_that_is_gone() {
    let mut client = Recorder { gone_after: Some(1), ..Default::default() };
    let outcome = converse(&mut client, |mut daemon| {
        daemon.write_all(&[head(200), data("one"), data("two")].concat()).unwrap();
        until_closed(daemon);
    });
    assert_eq!(outcome, Outcome::ClientGone);
    assert_eq!(client.events, ["head 200", "one More"]);
}
