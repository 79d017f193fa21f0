//! One request in the Apache half with stand-ins for the client and the process, for `make instructions`
//! (scripts/instructions), which has it repeated and counts instructions. As an ordinary test it runs once.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::names::Name;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::{Body, BodyError, Facts, Purpose, put_request};
use wsgi_wire::response::{End, File, Head, Headers, put_head};

use super::client::{Client, Peer, RequestContext, SendError, Then};
use super::connection::Connection;
use super::conversation::{Conversation, ConversationLimits};
use super::inbox::Inbox;
use super::outcome::Outcome;
use super::outflow::Outflow;
use super::records::Source;

/// A client that takes everything.
#[derive(Default)]
struct Browser {
    statuses: usize,
    received: usize,
}

impl RequestContext for Browser {
    fn log(&mut self, _record: &LogRecord) {}
}

impl Peer for Browser {}

impl Client for Browser {
    fn read_body(&mut self, _max: usize, _out: &mut Vec<u8>) -> Result<bool, BodyError> {
        Ok(false)
    }

    fn early_hints(&mut self, _headers: Headers<'_>) {}

    fn head(&mut self, head: &Head<'_>) -> Result<(), u16> {
        self.statuses += usize::from(head.status == 200);
        Ok(())
    }

    fn data(&mut self, pieces: &[&[u8]], _then: Then) -> Result<(), SendError> {
        self.received += pieces.iter().map(|piece| piece.len()).sum::<usize>();
        Ok(())
    }

    fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), SendError> {
        Ok(())
    }
}

/// What a process answers to this exchange.
fn answer(exchange: u16, out: &mut Vec<u8>) {
    let headers: [(&[u8], &[u8]); 2] = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"12")];
    frame::put_in(exchange, out, Kind::Head, |out| put_head(out, 200, b"OK", headers.into_iter())).unwrap();
    frame::put_in(exchange, out, Kind::Data, |out| out.extend_from_slice(b"Hello World!")).unwrap();
    frame::put_in(exchange, out, Kind::End, |out| End::Complete.put(out)).unwrap();
}

#[test]
fn instructions_exchange() {
    static LOGGED: Budget = Budget::new();
    let rounds = std::env::var("INSTRUCTIONS_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    let (mut process, ours) = UnixStream::pair().unwrap();
    let (mut connection, mut inbox, mut client) = (Connection::over(ours, 1, 2), Inbox::default(), Browser::default());
    let (mut message, mut answered, mut taken) = (Vec::new(), Vec::new(), [0; 4096]);
    for _ in 0..rounds {
        message.clear();
        inbox.clear();
        let route = connection.begin(b"where the application is, and what does not vary", &mut message).unwrap();
        let facts = Facts { route, request_start: 1, queue_start: 2, connects: 1, ..Facts::default() };
        let put = frame::put_in(connection.exchange(), &mut message, Kind::Request, |out| {
            put_request(out, &facts, Purpose::Response(Body::None), |vars| vars.push(Name::of(b"PATH_INFO"), b"/"));
        });
        put.unwrap();
        // The answer is there when the request leaves: nobody waits.
        answered.clear();
        answer(connection.exchange(), &mut answered);
        process.write_all(&answered).unwrap();
        let limits = ConversationLimits {
            flush_delay: Duration::ZERO,
            queue: None,
            silence: Duration::from_secs(60),
            answered: &|| {},
            done: &|| {},
            ended: &|| false,
            source: Source { process: 1, used: &LOGGED, rate: Rate::of_log(1) },
            duplex: false,
        };
        let mut outflow = Outflow::default();
        let conversation = Conversation::new(&connection, &mut inbox, &mut client, &mut outflow, limits);
        assert_eq!(conversation.run(&message), Outcome::Complete);
        assert_eq!(process.read(&mut taken).unwrap(), message.len());
    }
    assert_eq!((client.statuses, client.received), (rounds, 12 * rounds));
}
