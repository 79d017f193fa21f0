//! WebSockets between a scripted client and a scripted process, over socket pairs.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use wsgi_websocket::deflate::Codec;
use wsgi_websocket::session::Settings;
use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::record::LogRecord;
use wsgi_wire::table::{Entry, Group, Page, Slot, State, websocket_counts};
use wsgi_wire::websocket::Close;

use super::WebSocket;
use super::blocking;
use super::carrier::{Carrier, Memory, Seen, Turn};
use crate::relay::choice::{Look, Pool};
use crate::relay::client::{Gone, Peer, RequestContext};
use crate::relay::connection::Connection;
use crate::relay::inbox::Inbox;
use crate::relay::outcome::End;
use crate::relay::records::Source;
use crate::relay::seat::Seat;
use crate::relay::violation::Violation;

const SETTINGS: Settings = Settings { max_size: 1 << 20, ping_interval: None, ping_timeout: None, is_deflate: false };

/// A client's connection in Apache's hands.
struct Browser(UnixStream);

impl RequestContext for Browser {
    fn log(&mut self, _record: &LogRecord) {}
}

impl Peer for Browser {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn receive_bytes(&mut self, out: &mut Vec<u8>) -> Result<bool, Gone> {
        out.reserve(4096);
        match rustix::io::read(&self.0, rustix::buffer::spare_capacity(out)) {
            Ok(0) => Err(Gone),
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::AGAIN) => Ok(false),
            Err(_) => Err(Gone),
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        match self.0.write(bytes) {
            Ok(length) => Ok(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Gone),
        }
    }

    fn send_timeout(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

static LOGGED: Budget = Budget::new();

/// The record of a group of which nobody else knows.
fn record() -> &'static Group {
    Box::leak(Box::default())
}

/// A seat in a process that lives as long as the tests.
fn seat() -> Seat {
    let memory: &'static (Entry, Page, Group) = Box::leak(Box::default());
    let slot = Slot { entry: &memory.0, page: &memory.1 };
    slot.occupy(7, 1, 1);
    slot.set_state(State::Ready);
    let pool = Pool { slots: std::iter::once(slot), group: 7, record: &memory.2, room: 1, evenly: true };
    let Look::Process(claim) = pool.look(&[], true, None) else { panic!("there is a process") };
    Seat::take(&claim, 1).expect("a seat")
}

/// Carries a WebSocket on a thread of its own, while `script` has the client's and the process's ends.
fn carried(script: impl FnOnce(&mut UnixStream, &mut UnixStream)) -> End {
    let ((mut outside, browser), (mut daemon, child)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    browser.set_nonblocking(true).unwrap();
    for end in [&outside, &daemon] {
        end.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        end.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    }
    let driver = thread::spawn(move || {
        let (mut connection, mut client) = (Connection::over(child, 1, 2), Browser(browser));
        let source = Source { process: 1, used: &LOGGED, rate: Rate::of_log(1) };
        let mut carrier = Carrier::new(SETTINGS, record(), &mut connection, Inbox::default(), source, seat());
        blocking::carry(&connection, &mut carrier, &mut client)
    });
    script(&mut outside, &mut daemon);
    driver.join().unwrap()
}

/// A client's frame; its mask is none.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

fn message(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_message(0, &mut out, kind, content, true);
    out
}

fn close(code: u16) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put_in(0, &mut out, Kind::Close, |out| Close { code, reason: String::new() }.put(out)).unwrap();
    out
}

/// The next message for the process, or its close.
fn told(daemon: &mut UnixStream) -> (Kind, Vec<u8>) {
    let mut content = Vec::new();
    loop {
        let mut data = vec![0; frame::HEADER];
        daemon.read_exact(&mut data).unwrap();
        data.resize(frame::needed(&data), 0);
        daemon.read_exact(&mut data[frame::HEADER..]).unwrap();
        let frame = frame::first(&data).unwrap().unwrap();
        content.extend_from_slice(frame.payload);
        if !frame.is_more {
            return (frame.kind, content);
        }
    }
}

fn told_close(daemon: &mut UnixStream) -> u16 {
    let (kind, content) = told(daemon);
    assert_eq!(kind, Kind::Close);
    Close::from_bytes(&content).unwrap().code
}

fn rest(end: &mut UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    end.read_to_end(&mut rest).unwrap();
    rest
}

#[test]
fn messages_and_closes_go_both_ways() {
    let end = carried(|client, daemon| {
        client.write_all(&masked(0x81, b"hi")).unwrap();
        assert_eq!(told(daemon), (Kind::Text, b"hi".to_vec()));
        daemon.write_all(&message(Kind::Binary, b"yo")).unwrap();
        let mut got = [0; 4];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, [0x82, 2, b'y', b'o']);
        client.write_all(&masked(0x88, &[0x0f, 0xa1])).unwrap();
        assert_eq!(told_close(daemon), 4001);
        assert_eq!(rest(client), [0x88, 2, 0x0f, 0xa1]);
    });
    assert_eq!(end, End::Closed);
    let end = carried(|client, daemon| {
        daemon.write_all(&close(1000)).unwrap();
        client.write_all(&masked(0x88, &[3, 0xe8])).unwrap();
        assert_eq!(rest(client), [0x88, 2, 3, 0xe8]);
        assert_eq!(rest(daemon), b"", "who has closed is told nothing");
    });
    assert_eq!(end, End::Closed);
}

#[test]
fn neither_side_can_keep_the_other_from_being_heard() {
    let (count, content) = (200, vec![7; 50_000]);
    let end = carried(|client, daemon| {
        // Both send more than all buffers hold before they read anything.
        let (mut to_client, mut to_process) = (client.try_clone().unwrap(), daemon.try_clone().unwrap());
        let (one, other) = (masked(0x82, &content).repeat(count), message(Kind::Binary, &content).repeat(count));
        let writes =
            [thread::spawn(move || to_client.write_all(&one)), thread::spawn(move || to_process.write_all(&other))];
        for _ in 0..count {
            assert!(told(daemon) == (Kind::Binary, content.clone()));
        }
        let mut got = vec![0; count * (content.len() + 4)];
        client.read_exact(&mut got).unwrap();
        writes.into_iter().for_each(|writes| writes.join().unwrap().unwrap());
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(told_close(daemon), 1006);
    });
    assert_eq!(end, End::Closed);
}

#[test]
fn a_process_that_ends_leaves_no_close_and_what_it_has_said_arrives() {
    let end = carried(|client, daemon| {
        daemon.write_all(&message(Kind::Text, b"last words")).unwrap();
        daemon.shutdown(Shutdown::Both).unwrap();
        assert_eq!(rest(client), b"\x81\x0alast words");
    });
    assert_eq!(end, End::ProcessLost);
}

#[test]
fn what_a_process_may_not_say_ends_it() {
    let end = frame::header(Kind::End, 0).unwrap().to_vec();
    let mut stray = message(Kind::Text, b"x");
    stray[6] = 9;
    let torn = [message(Kind::Text, b"\xff"), vec![]].concat();
    for (said, violation) in [
        (end, Some(Violation::OutOfPlace(Kind::End))),
        (stray, Some(Violation::Stray(Kind::Text))),
        (torn, None),
        (close(1006), None),
        (vec![0, 0, 0, 0, 255, 0, 0, 0], None),
    ] {
        let end = carried(|client, daemon| {
            daemon.write_all(&said).unwrap();
            assert_eq!(rest(client), [0x88, 2, 3, 0xf3], "1011");
        });
        assert!(matches!(end, End::Violated(found) if violation.is_none_or(|wanted| wanted == found)), "{end:?}");
    }
}

#[test]
fn each_is_counted_with_the_code_of_its_first_end() {
    let now = Instant::now();
    let frame_of = |data: &[u8]| frame::first(data).unwrap().map(|frame| (frame.kind, frame.payload.to_vec()));
    let end = |step: &mut dyn FnMut(&mut WebSocket)| {
        let record = record();
        let mut socket = WebSocket::new(SETTINGS, record, 0, now);
        step(&mut socket);
        assert_eq!((record.websocket_counts.opened(), record.websocket_counts.closes().iter().sum()), (1, 0u64));
        drop(socket);
        let closes = websocket_counts::CODES.into_iter().zip(record.websocket_counts.closes());
        closes.filter(|(_, count)| *count > 0).map(|(code, _)| code).collect::<Vec<_>>()
    };
    let hears = |socket: &mut WebSocket, data: &[u8]| {
        socket.hear_process(frame::first(data).unwrap().unwrap(), &mut Codec::default(), now)
    };
    assert_eq!(frame_of(&close(4001)).map(|(kind, _)| kind), Some(Kind::Close));
    assert_eq!(
        end(&mut |socket| socket.hear_client(&mut masked(0x88, &[3, 0xe9]), &mut Codec::default(), now)),
        ["1001"]
    );
    assert_eq!(end(&mut |socket| socket.hear_client(&mut masked(0x88, &[]), &mut Codec::default(), now)), ["1005"]);
    assert_eq!(
        end(&mut |socket| socket.hear_client(&mut [0x83, 0x80, 0, 0, 0, 0], &mut Codec::default(), now)),
        ["1002"]
    );
    assert_eq!(end(&mut |socket| socket.client_is_lost()), ["1006"]);
    assert_eq!(end(&mut |_| ()), ["1006"], "a process that is lost");
    assert_eq!(end(&mut |socket| socket.leave(1001)), ["1001"]);
    let closed = end(&mut |socket| {
        hears(socket, &close(4001)).unwrap();
        socket.hear_client(&mut masked(0x88, &[3, 0xe8]), &mut Codec::default(), now);
    });
    assert_eq!(closed, ["4xxx"], "what the application has closed with");
    assert_eq!(end(&mut |socket| assert!(hears(socket, &message(Kind::Text, b"\xff")).is_err())), ["1011"]);
}

#[test]
fn no_more_is_taken_than_the_other_side_takes() {
    let now = Instant::now();
    let (mut socket, mut codec) = (WebSocket::new(SETTINGS, record(), 0, now), Codec::default());
    while socket.reads_client() {
        socket.hear_client(&mut masked(0x89, &[1; 125]), &mut codec, now);
        assert!(socket.to_client.len() < 300 << 10, "pongs");
    }
    socket.to_client.clear();
    while socket.reads_client() {
        socket.hear_client(&mut masked(0x82, &[1; 50_000]), &mut codec, now);
        assert!(socket.to_process.len() < 400 << 10, "messages");
    }
    while socket.reads_process() {
        let data = message(Kind::Binary, &[1; 50_000]);
        socket.hear_process(frame::first(&data).unwrap().unwrap(), &mut codec, now).unwrap();
        assert!(socket.to_client.len() < 200 << 10, "answers");
    }
}

/// One message of 64 bytes each way, for `make instructions` (scripts/instructions), which has it repeated and counts
/// instructions. As an ordinary test it runs once.
#[test]
fn instructions_websocket_message() {
    let rounds = std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let ((mut outside, browser), (mut daemon, child)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    browser.set_nonblocking(true).unwrap();
    let (mut connection, mut client, mut memory) = (Connection::over(child, 1, 2), Browser(browser), Memory::default());
    let source = Source { process: 1, used: &LOGGED, rate: Rate::of_log(1) };
    let mut carrier = Carrier::new(SETTINGS, record(), &mut connection, Inbox::default(), source, seat());
    let (message, mut framed, mut taken) = (masked(0x82, &[7; 64]), Vec::new(), [0; 4096]);
    frame::put_message(connection.exchange(), &mut framed, Kind::Binary, &[7; 64], true);
    for _ in 0..rounds {
        outside.write_all(&message).unwrap();
        let seen = Seen { client: true, process: false };
        assert_eq!(carrier.turn(&connection, &mut client, seen, &mut memory), Turn::Wait);
        assert_eq!(daemon.read(&mut taken).unwrap(), framed.len());
        daemon.write_all(&framed).unwrap();
        let seen = Seen { client: false, process: true };
        assert_eq!(carrier.turn(&connection, &mut client, seen, &mut memory), Turn::Wait);
        assert_eq!(outside.read(&mut taken).unwrap(), 2 + 64);
    }
}
