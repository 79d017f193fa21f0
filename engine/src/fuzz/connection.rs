//! The state machine of a connection, over a socket pair.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::request::{Body as RequestBody, Hello, Purpose, Request};
use wsgi_wire::response::{End, Reject};

use crate::fuzz::socket::{LONGEST, socket};
use crate::request::response_head::Head;
use crate::request::transport::Transport;
use crate::workers::connection::duplex::News;
use crate::workers::connection::{Connection, ConnectionError};

/// The secret of the process.
const SECRET: u64 = 0x0102_0304_0506_0708;

/// Reads what an Apache child sends, or somebody else who has found the socket: an input that does not begin with a
/// `Hello` is put behind a valid one.
pub fn connection(data: &[u8]) {
    [false, true].into_iter().for_each(|duplex| read(data, duplex));
}

/// Reads it as a worker does, or, with `duplex`, as an event loop.
fn read(data: &[u8], duplex: bool) {
    let mut stream = Vec::new();
    if data.get(4) != Some(&(Kind::Hello as u8)) {
        let hello = Hello { version: wsgi_wire::VERSION, secret: SECRET };
        let written = frame::put(&mut stream, Kind::Hello, |out| hello.put(out));
        assert!(written.is_ok(), "a greeting is short");
    }
    stream.extend_from_slice(data);
    let Some((mut child, ours)) = socket(&stream) else { return };
    let mut connection = Connection::new(OwnedFd::from(ours).into(), Some(Duration::from_secs(1)));
    if duplex {
        connection.is_duplex();
    }
    let (mut requests, mut sent, mut buffer) = (0, Vec::new(), vec![0; LONGEST]);
    let why = loop {
        let arrived = match connection.receive(SECRET) {
            Ok(Some(arrived)) => arrived,
            Ok(None) => panic!("the end of the stream is no pause"),
            Err(why) => break why,
        };
        requests += 1;
        let Ok(request) = Request::decode(arrived.payload()) else {
            assert!(connection.refuse(400).is_ok());
            connection.done_with(arrived);
            continue;
        };
        let pulls = matches!(request.purpose, Purpose::Response(RequestBody::Pull(_)));
        assert!(request.vars.into_iter().all(|variable| variable.is_ok()));
        connection.done_with(arrived);
        if requests % 5 == 0 {
            assert!(connection.reject(Reject::Draining).is_ok());
        } else if duplex {
            answer_beside(&mut connection, pulls);
        } else {
            answer(&mut connection, pulls);
        }
        // Somebody has to read, or the answers stay in the socket.
        let read = child.read(&mut buffer).unwrap_or(0);
        sent.extend_from_slice(&buffer[..read]);
    };
    drop(connection);
    let _ = child.read_to_end(&mut sent);
    let mut rest = &sent[..];
    while let Ok(Some(frame)) = frame::first(rest) {
        assert!(matches!(frame.kind, Kind::Reject | Kind::Pull | Kind::Head | Kind::Data | Kind::End | Kind::Fail));
        rest = &rest[frame.size()..];
    }
    assert!(rest.is_empty(), "the child gets whole frames");
    assert!(requests == 0 || !matches!(why, ConnectionError::Stranger), "who has been greeted is no stranger");
}

/// Answers without waiting for the body, of which nothing may come any more.
fn answer_beside(connection: &mut Connection, pulls: bool) {
    if pulls {
        connection.ask_body(64);
        assert!(connection.flush(true).is_ok());
    }
    let mut comes = true;
    loop {
        match connection.hear(&mut comes) {
            Ok(Some(News::Piece(piece) | News::Message { piece, .. })) => assert!(piece.len() <= LONGEST),
            // Whether there is a WebSocket is for others to know.
            Ok(Some(News::Closed(_))) => {}
            Ok(Some(News::End | News::BrokenOff | News::Disconnect) | None) => break,
            // It is of no more use, which the next look at it tells.
            Err(_) => return,
        }
    }
    let Ok(head) = Head::new(b"200 OK") else { panic!("a status is a status") };
    connection.head(&head);
    connection.end(End::Complete);
    assert!(connection.flush(true).is_ok());
}

fn answer(connection: &mut Connection, pulls: bool) {
    let mut body = Vec::new();
    while pulls {
        match connection.pull(64, &mut body) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                let _ = connection.flush(false);
                return;
            }
        }
    }
    let Ok(head) = Head::new(b"200 OK") else { panic!("a status is a status") };
    connection.head(&head);
    connection.data(&body[..body.len().min(64)]);
    connection.end(End::Complete);
    assert!(connection.flush(true).is_ok());
}
