//! What the fuzz targets in `fuzz/` call: everything that reads bytes of a client. Compiled for them and for the unit
//! tests, which try the corpus.

use std::time::{Duration, Instant};

use crate::close::{self, Close};
use crate::deflate::Codec;
use crate::extension;
use crate::frame::{self, Opcode};
use crate::handshake::Request;
use crate::session::{Event, Kind, Session, Settings};

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[("handshake", handshake), ("websocket", websocket), ("inflate", inflate)];

/// The largest message of a client, bytes.
const LIMIT: usize = 100_000;

/// Judges the values of a request that may ask for a WebSocket, a line each.
pub fn handshake(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut line = || lines.next();
    let request = Request {
        method: b"GET",
        is_http_1_1: true,
        has_body: false,
        upgrade: line(),
        connection: line(),
        version: line(),
        key: line(),
        protocols: line(),
        extensions: line(),
    };
    let Ok(handshake) = request.handshake() else { return };
    assert_eq!(handshake.accept.len(), 28);
    for name in &handshake.protocols {
        assert!(!name.is_empty() && name.bytes().all(extension::is_token), "a sub-protocol forges no header");
    }
}

/// Reads what a client sends, in pieces as long as the first byte of the input says; its second byte says what the
/// application does then.
pub fn websocket(data: &[u8]) {
    let Some((&[size, doing], sent)) = data.split_first_chunk::<2>() else { return };
    let mut now = Instant::now();
    let settings = Settings {
        max_size: LIMIT,
        ping_interval: Some(Duration::from_secs(20)),
        ping_timeout: Some(Duration::from_secs(20)),
        is_deflate: doing & 1 != 0,
    };
    let (mut session, mut codec) = (Session::new(settings, now), Codec::default());
    let (mut out, mut application) = (Vec::new(), Application::default());
    for piece in sent.chunks(usize::from(size).max(1)) {
        let _ = session.receive(&mut piece.to_vec(), now, &mut codec, &mut out, &mut |told| application.hear(&told));
        match doing >> 1 & 7 {
            1 => drop(session.send(Kind::Text, piece, true, &mut codec, &mut out)),
            2 => drop(session.send(Kind::Binary, piece, false, &mut codec, &mut out)),
            3 => drop(session.close(&Close::with_code(close::NORMAL), now, &mut out)),
            4 => session.lost(&mut |told| application.hear(&told)),
            _ => {}
        }
        now += Duration::from_secs(u64::from(doing >> 4));
        session.tick(now, &mut out, &mut |told| application.hear(&told));
        assert!(session.deadline().is_none() == session.is_over(), "what is not over has a bound");
    }
    well_formed(&out, settings.is_deflate);
}

/// The events that the application has been told.
#[derive(Default)]
struct Application {
    message: Option<(Kind, Vec<u8>)>,
    is_closed: bool,
}

impl Application {
    fn hear(&mut self, told: &Event<'_>) {
        assert!(!self.is_closed, "a close is the last thing that it is told");
        match told {
            Event::Piece(kind, piece, is_last) => {
                let (begun, mut message) = self.message.take().unwrap_or((*kind, Vec::new()));
                message.extend_from_slice(piece);
                assert_eq!(begun, *kind, "all of a message is of one kind");
                assert!(message.len() <= LIMIT, "no message is larger than is taken");
                if !is_last {
                    self.message = Some((begun, message));
                } else if begun == Kind::Text {
                    assert!(std::str::from_utf8(&message).is_ok(), "a text is UTF-8");
                }
            }
            Event::Closed(_) => self.is_closed = true,
        }
    }
}

/// Checks that what the client is sent is a row of frames, the last of which may be a close.
fn well_formed(sent: &[u8], is_deflate: bool) {
    let mut is_closed = false;
    for (header, _) in frame::of_server(sent) {
        assert!(!is_closed, "nothing follows a close");
        assert!(is_deflate || !header.is_compressed, "nothing is compressed without an extension");
        is_closed = header.opcode == Opcode::Close;
    }
}

/// Inflates a compressed message, and what is compressed here.
pub fn inflate(data: &[u8]) {
    let mut codec = Codec::default();
    let mut size = 0;
    let _ = codec.inflate(data, LIMIT, |piece, _| {
        size += piece.len();
        Ok(())
    });
    assert!(size <= LIMIT, "no bomb goes off");
    let Some(compressed) = codec.compress(data).map(<[u8]>::to_vec) else { return };
    let mut whole = Vec::new();
    let inflated = codec.inflate(&compressed, data.len(), |piece, _| {
        whole.extend_from_slice(piece);
        Ok(())
    });
    assert!(inflated.is_ok() && whole == data, "what was compressed comes back");
    let mut masked = whole;
    frame::mask(&mut masked, [1, 2, 3, 4], 0);
    frame::mask(&mut masked, [1, 2, 3, 4], 0);
    assert_eq!(masked, data);
}

#[cfg(test)]
#[path = "../../fuzz/corpus.rs"]
mod corpus;
