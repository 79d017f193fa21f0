//! A client of WebSockets that sends whatever a test wants, and shows each frame that comes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::Duration;

/// Longest wait for a byte: above every timeout that a test waits for.
const DEADLINE: Duration = Duration::from_secs(30);

/// The mask of all frames: what it is makes no difference.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The opcode of a text.
pub const TEXT: u8 = 1;
/// The opcode of a message of bytes.
pub const BINARY: u8 = 2;
/// The opcode of a close.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;

/// A client's end of a WebSocket.
pub struct WebSocket {
    stream: TcpStream,
    received: Vec<u8>,
    /// The head that has granted it.
    pub head: String,
}

/// The request for a WebSocket at this path, with further header lines.
#[must_use]
pub fn request(path: &str, headers: &[&str]) -> String {
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

/// Asks for WebSockets and resets each connection: at once, as soon as the first byte of the answer is there, or when
/// the whole head is.
const RESETS: &str = r#"
import socket, struct, sys
port, count, request = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
for number in range(count):
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sendall(request)
    if number % 3:
        client.recv(1 if number % 3 == 1 else 4096)
    client.close()
"#;

/// Starts a program that asks for so many WebSockets at this path, one after the other, and resets each connection.
///
/// # Panics
/// If there is no `python3`.
#[must_use]
pub fn resets(port: u16, path: &str, count: usize) -> Child {
    let mut python = Command::new("python3");
    python.args(["-c", RESETS, &port.to_string(), &count.to_string(), &request(path, &[])]);
    python.spawn().expect("python3 runs")
}

/// A client's frame.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

impl WebSocket {
    /// Opens one at this path.
    #[must_use]
    pub fn open(port: u16, path: &str) -> Self {
        Self::begin(port, request(path, &[]).as_bytes())
    }

    /// Opens one by sending this, the request and perhaps more.
    #[must_use]
    pub fn begin(port: u16, sent: &[u8]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(DEADLINE)).expect("an option");
        stream.set_write_timeout(Some(DEADLINE)).expect("an option");
        stream.write_all(sent).expect("a request");
        let mut socket = Self { stream, received: Vec::new(), head: String::new() };
        let end = loop {
            if let Some(at) = socket.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(socket.more().expect("a head"), "a head: {:?}", String::from_utf8_lossy(&socket.received));
        };
        socket.head = String::from_utf8_lossy(&socket.received.drain(..end).collect::<Vec<_>>()).into_owned();
        assert!(socket.head.starts_with("HTTP/1.1 101 "), "{}", socket.head);
        assert!(socket.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{}", socket.head);
        socket
    }

    /// The connection itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 65536];
        let length = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..length]);
        Ok(length > 0)
    }

    /// Sends a message, or a control frame.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.stream.write_all(&frame(0x80 | opcode, payload)).expect("a frame is sent");
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a close with this code.
    pub fn close(&mut self, code: u16) {
        self.send(CLOSE, &code.to_be_bytes());
    }

    /// The first byte and the payload of the next frame; `None` at the end of the connection.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, payload, size)) = self.whole() {
                self.received.drain(..size);
                return Some((first, payload));
            }
            match self.more() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("a frame: {error}"),
            }
        }
    }

    fn whole(&self) -> Option<(u8, Vec<u8>, usize)> {
        let bytes = &self.received;
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let number = |range: std::ops::Range<usize>| {
            bytes.get(range).map(|bytes| bytes.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte)))
        };
        let (length, at) = match second {
            126 => (number(2..4)?, 4),
            127 => (number(2..10)?, 10),
            short => (usize::from(short), 2),
        };
        Some((first, bytes.get(at..at + length)?.to_vec(), at + length))
    }

    /// The opcode and the content of the next message, however many frames it has; control frames that come alone are
    /// messages, too.
    pub fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, mut content) = self.frame()?;
        let mut is_last = first & 0x80 != 0;
        while !is_last {
            let (next, more) = self.frame()?;
            assert_eq!(next & 0x0f, 0, "a message goes on");
            content.extend(more);
            is_last = next & 0x80 != 0;
        }
        Some((first & 0x0f, content))
    }

    /// The text that comes next.
    pub fn text(&mut self) -> String {
        let (opcode, content) = self.message().expect("a message");
        assert_eq!(opcode, TEXT, "{:?}", String::from_utf8_lossy(&content));
        String::from_utf8(content).expect("UTF-8")
    }

    /// The code of the close that comes next, and after which nothing comes; `None` where the connection just ends.
    pub fn closed(&mut self) -> Option<u16> {
        let (opcode, content) = self.message()?;
        assert_eq!(opcode, CLOSE, "{:?}", String::from_utf8_lossy(&content));
        let code = content.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        Some(code)
    }

    /// Whether the connection ends here.
    pub fn is_over(&mut self) -> bool {
        self.frame().is_none()
    }
}
