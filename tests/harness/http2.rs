//! A client of HTTP/2 that asks for WebSockets by extended CONNECT (RFC 8441), with the frames alone: what curl cannot.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a byte: above every timeout that a test waits for.
const DEADLINE: Duration = Duration::from_secs(30);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// The flag of a frame that answers another one, and of the last one of a stream.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The setting by which a server lets clients ask (RFC 8441 §3).
const ENABLE_CONNECT_PROTOCOL: [u8; 2] = [0, 8];

/// What comes on a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The head of the response, and whether its status is 200.
    Head(bool),
    /// A piece of content.
    Data(Vec<u8>),
    /// The end of the stream, whether it is in order or not.
    End,
}

/// A connection of HTTP/2, without TLS.
pub struct Http2 {
    stream: TcpStream,
    /// Events that have come, with their streams.
    waiting: Vec<(u32, Event)>,
    /// Whether the server lets clients ask for WebSockets.
    pub connects: bool,
    next: u32,
}

impl Http2 {
    /// Connects to a port of 127.0.0.1, and hears what the server can do.
    #[must_use]
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(DEADLINE)).expect("an option");
        let mut client = Self { stream, waiting: Vec::new(), connects: false, next: 1 };
        client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("a preface");
        client.send(SETTINGS, 0, 0, &[]);
        while !matches!(client.frame(), Some((SETTINGS, 0))) {}
        client
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[&head, payload].concat()).expect("a frame is sent");
    }

    /// Asks for a WebSocket at this path. Returns its stream.
    pub fn ask(&mut self, path: &str) -> u32 {
        let headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("sec-websocket-version", "13"),
        ];
        // Literals that are in no table (RFC 7541 §6.2.2), without Huffman's code.
        let text = |text: &str| [&[u8::try_from(text.len()).expect("a short text")], text.as_bytes()].concat();
        let block: Vec<u8> =
            headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
        let stream = self.next;
        self.next += 2;
        self.send(HEADERS, END_HEADERS, stream, &block);
        stream
    }

    /// Sends content on a stream.
    pub fn data(&mut self, stream: u32, content: &[u8]) {
        self.send(DATA, 0, stream, content);
    }

    /// Ends a stream at once.
    pub fn reset(&mut self, stream: u32) {
        self.send(RST_STREAM, 0, stream, &8u32.to_be_bytes());
    }

    /// Reads one frame. Returns its kind and its flags; `None` at the end of the connection.
    fn frame(&mut self) -> Option<(u8, u8)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(stream);
        match kind {
            SETTINGS if flags & ACK == 0 => {
                let enables = |setting: &[u8]| setting[..2] == ENABLE_CONNECT_PROTOCOL && setting[5] == 1;
                self.connects |= payload.chunks_exact(6).any(enables);
                self.send(SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload),
            HEADERS => {
                // The size of the table may come first; 200 has a place in the static one (RFC 7541 §6.3, A).
                let block = payload.iter().position(|byte| byte & 0xe0 != 0x20).unwrap_or(0);
                self.waiting.push((stream, Event::Head(payload.get(block) == Some(&0x88))));
            }
            DATA if !payload.is_empty() => self.waiting.push((stream, Event::Data(payload))),
            _ => {}
        }
        if kind == RST_STREAM || matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            self.waiting.push((stream, Event::End));
        }
        Some((kind, flags))
    }

    /// What comes next on a stream.
    pub fn event(&mut self, stream: u32) -> Event {
        loop {
            if let Some(at) = self.waiting.iter().position(|(of, _)| *of == stream) {
                return self.waiting.remove(at).1;
            }
            if self.frame().is_none() {
                return Event::End;
            }
        }
    }

    /// So many bytes that come on a stream.
    pub fn bytes(&mut self, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match self.event(stream) {
                Event::Data(more) => bytes.extend(more),
                other => panic!("{other:?} after {bytes:?}"),
            }
        }
        bytes
    }
}
