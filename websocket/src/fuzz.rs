//! What the fuzz targets in `fuzz/` call: everything that reads bytes of a client. Compiled for them and for the unit
//! tests, which try the corpus.

use std::time::{Duration, Instant};

use crate::close::{self, Close};
use crate::deflate::Codec;
use crate::extension;
use crate::frame::{self, Header, LONGEST_HEADER, Opcode};
use crate::handshake::Request;
use crate::session::{Event, Kind, Session, Settings};

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] =
    &[("codec", codec), ("handshake", handshake), ("inflate", inflate), ("session", session), ("websocket", websocket)];

/// The largest message of a client, bytes.
const LIMIT: usize = 100_000;

/// Reads a header and its payload, and writes them as they were.
pub fn codec(data: &[u8]) {
    let read = Header::of_client(data);
    let beginnings = (0..data.len().min(LONGEST_HEADER)).map(|end| Header::of_client(&data[..end]));
    let Ok(Some((header, length))) = read else {
        let says_more = |said: Result<_, _>| said != Ok(None) && said != read;
        assert!(!beginnings.into_iter().any(says_more), "what comes later changes no verdict");
        return;
    };
    assert!(beginnings.take(length).all(|said| said == Ok(None)), "a header is not read before it is there");
    let payload = &data[length..];
    let mut written = Vec::new();
    let size = usize::try_from(header.length).unwrap_or_default();
    frame::put_header(&mut written, header.opcode, header.is_last, header.is_compressed, size);
    written[1] |= 0x80;
    written.extend_from_slice(&header.mask);
    assert_eq!(written, data[..length], "there is one way to write a header");
    let (mut at_once, mut in_pieces) = (payload.to_vec(), payload.to_vec());
    frame::mask(&mut at_once, header.mask, 0);
    let (first, second) = in_pieces.split_at_mut(payload.len().min(usize::from(header.mask[0])));
    frame::mask(first, header.mask, 0);
    frame::mask(second, header.mask, first.len() as u64);
    assert_eq!(at_once, in_pieces, "a mask goes on where it was");
    frame::mask(&mut at_once, header.mask, 0);
    assert_eq!(at_once, payload, "a mask comes off as it was put on");
}

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

/// What is done to a session.
enum Step {
    Receive(Vec<u8>),
    Send(Kind, Vec<u8>, bool),
    Close(Close),
    End(u16),
    Lost,
    Wait(Duration),
}

impl Step {
    /// Reads the next step: what it is, how long what it carries is, and that.
    fn next<'a>(data: &mut &'a [u8]) -> Option<Self> {
        let (&[what, length], rest) = data.split_first_chunk::<2>()?;
        let carried: &'a [u8];
        (carried, *data) = rest.split_at(rest.len().min(length.into()));
        let code = carried.first_chunk().map_or(close::NORMAL, |code| u16::from_be_bytes(*code));
        Some(match what & 7 {
            0 => Self::Receive(carried.to_vec()),
            // A frame, which a mutation that is random seldom makes.
            1 | 2 => {
                let payload = &carried[..carried.len().min(125)];
                let compressed = if what & 7 == 2 { 0x40 } else { 0 };
                let masked = 0x80 | u8::try_from(payload.len()).unwrap_or_default();
                Self::Receive([&[what >> 3 & 0x0f | compressed | what & 0x80, masked, 0, 0, 0, 0], payload].concat())
            }
            3 => Self::Send(if what & 8 == 0 { Kind::Text } else { Kind::Binary }, carried.to_vec(), what & 16 == 0),
            4 => {
                let reason = String::from_utf8_lossy(carried.get(2..).unwrap_or_default()).into_owned();
                Self::Close(Close { code, reason })
            }
            5 => Self::Wait(Duration::from_secs(length.into())),
            6 => Self::End(code),
            _ => Self::Lost,
        })
    }
}

/// A session, and all that it has said.
struct Driven {
    session: Session,
    codec: Codec,
    out: Vec<u8>,
    application: Application,
}

impl Driven {
    fn new(settings: Settings, now: Instant) -> Self {
        let session = Session::new(settings, now);
        Self { session, codec: Codec::default(), out: Vec::new(), application: Application::default() }
    }

    /// Does a step; what is received comes in pieces of so many bytes.
    fn take(&mut self, step: &Step, now: Instant, size: usize) {
        let Self { session, codec, out, application } = self;
        let (was_over, before) = (session.is_over(), out.len());
        let mut tell = |told: Event<'_>| application.hear(&told);
        match step {
            Step::Receive(bytes) => {
                for piece in bytes.chunks(size) {
                    let _ = session.receive(&mut piece.to_vec(), now, codec, out, &mut tell);
                }
            }
            Step::Send(kind, bytes, is_last) => drop(session.send(*kind, bytes, *is_last, codec, out)),
            Step::Close(said) => drop(session.close(said, now, out)),
            Step::End(code) => session.end(Close::with_code(*code), out, &mut tell),
            Step::Lost => session.lost(&mut tell),
            Step::Wait(_) => session.tick(now, out, &mut tell),
        }
        assert!(!was_over || session.is_over() && out.len() == before, "what is over says nothing more");
        assert!(session.deadline().is_none() == session.is_over(), "what is not over has a bound");
    }
}

/// Has a client, an application and the clock act in whatever order, a step each: the first byte of the input has the
/// settings. However what the client sends is cut, the same follows from it.
pub fn session(data: &[u8]) {
    let Some((&first, mut steps)) = data.split_first() else { return };
    let mut now = Instant::now();
    let settings = Settings {
        max_size: if first & 2 == 0 { LIMIT } else { 200 },
        ping_interval: Some(Duration::from_secs(20)),
        ping_timeout: Some(Duration::from_secs(20)),
        is_deflate: first & 1 != 0,
    };
    let (mut whole, mut cut) = (Driven::new(settings, now), Driven::new(settings, now));
    while let Some(step) = Step::next(&mut steps) {
        if let Step::Wait(time) = step {
            now += time;
        }
        whole.take(&step, now, usize::MAX);
        cut.take(&step, now, usize::from(first >> 2).max(1));
        assert_eq!(whole.session.is_over(), cut.session.is_over());
        assert_eq!(whole.session.deadline(), cut.session.deadline());
    }
    assert_eq!(whole.out, cut.out, "the client is told the same");
    assert_eq!(whole.application.complete, cut.application.complete, "the application is told the same");
    assert_eq!(whole.application.is_closed, cut.application.is_closed);
    well_formed(&whole.out, settings.is_deflate);
}

/// The events that the application has been told.
#[derive(Default)]
struct Application {
    message: Option<(Kind, Vec<u8>)>,
    complete: Vec<Vec<u8>>,
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
                    return;
                }
                assert!(begun == Kind::Binary || std::str::from_utf8(&message).is_ok(), "a text is UTF-8");
                self.complete.push(message);
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
