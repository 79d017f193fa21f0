//! A client connection that notices framing: what exactly was sent, and whether an answer is whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Longest wait for a byte: above every timeout that a test waits for.
const DEADLINE: Duration = Duration::from_secs(30);

/// One connection, byte by byte.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// One answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names as they were sent and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the body ended as its framing announced.
    pub complete: bool,
    /// Status codes of interim answers (`100 Continue`) that came before.
    pub interim: Vec<u16>,
    /// Header lines of these, in order.
    pub hints: Vec<(String, String)>,
}

impl Answer {
    /// All values of a header, whatever the case of its name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap_or_else(|e| panic!("port {port}: {e}"))
    }

    /// As [`connect`](Self::connect), where a failure is an answer.
    pub fn try_connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// The client as Apache's logs name it.
    #[must_use]
    pub fn name(&self) -> String {
        self.stream.get_ref().local_addr().map(|address| format!("[client {address}]")).unwrap_or_default()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends one request with these header lines (`"Name: value"`) and reads its answer.
    pub fn exchange(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Answer> {
        self.send_head(method, path, headers)?;
        self.send(body)?;
        self.answer(method)
    }

    /// Sends the head of a request, complete with its empty line.
    pub fn send_head(&mut self, method: &str, path: &str, headers: &[&str]) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for line in headers {
            head += &format!("{line}\r\n");
        }
        self.send((head + "\r\n").as_bytes())
    }

    /// Tells the server that nothing more will come.
    pub fn end_of_requests(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Reads the next answer to its end; `method` says whether it has a body at all.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        let (mut interim, mut hints) = (Vec::new(), Vec::new());
        loop {
            let (status, headers) = self.head()?;
            if status < 200 {
                interim.push(status);
                hints.extend(headers);
                continue;
            }
            let mut answer = Answer { status, headers, body: Vec::new(), complete: false, interim, hints };
            self.body(&mut answer, method)?;
            return Ok(answer);
        }
    }

    /// Reads the head of the next answer, none of its body, and gives the status.
    pub fn status(&mut self) -> io::Result<u16> {
        self.head().map(|(status, _)| status)
    }

    /// Reads so many bytes of whatever comes.
    pub fn read(&mut self, bytes: usize) -> io::Result<()> {
        self.stream.read_exact(&mut vec![0; bytes])
    }

    /// Waits for the first byte of an answer; `false` when the server closes the connection instead.
    pub fn answers(&mut self) -> io::Result<bool> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        match self.stream.fill_buf() {
            Ok(bytes) => Ok(!bytes.is_empty()),
            Err(error) if matches!(error.kind(), ConnectionReset | BrokenPipe) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Everything that still comes until the server closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A connection that is reset ends as well; what came before counts.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    /// Whether the server closes the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([]) | Err(_))
    }

    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| malformed(&line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, answer: &mut Answer, method: &str) -> io::Result<()> {
        if method == "HEAD" || matches!(answer.status, 204 | 304) {
            answer.complete = true;
        } else if answer.all("Transfer-Encoding") == ["chunked"] {
            answer.complete = self.chunks(&mut answer.body).or_else(cut)?;
        } else if let [length] = answer.all("Content-Length")[..] {
            let length = length.parse().map_err(|_| malformed(length))?;
            self.stream.by_ref().take(length).read_to_end(&mut answer.body).or_else(cut)?;
            answer.complete = answer.body.len() as u64 == length;
        } else {
            self.stream.read_to_end(&mut answer.body)?;
            answer.complete = true;
        }
        Ok(())
    }

    /// Reads chunks; `true` when the last one and the empty line behind it arrived.
    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let line = self.line()?;
            let size =
                u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16).map_err(|_| malformed(&line))?;
            let before = body.len() as u64;
            self.stream.by_ref().take(size).read_to_end(body)?;
            if body.len() as u64 - before < size {
                return Ok(false);
            }
            let end = self.line()?;
            if size == 0 {
                return Ok(end.is_empty());
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned())
    }
}

/// A connection that ends inside a body makes an incomplete answer, not an error.
fn cut<T: Default>(error: io::Error) -> io::Result<T> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Ok(T::default()),
        _ => Err(error),
    }
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}
