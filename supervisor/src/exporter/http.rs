//! One HTTP/1.1 request to the collector: the little of a client that this needs.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest status line that is read.
const STATUS_LINE: usize = 256;

/// Why the collector has not taken a report.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The collector cannot be reached, or does not answer.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The collector answers with another status than 2xx.
    #[error("it answers {0:?}")]
    Status(String),
}

/// Posts JSON to a path of a server, within a time.
///
/// # Errors
/// Unless the answer's status is 2xx.
pub fn post(authority: &str, path: &str, body: &str, time: Duration) -> Result<(), PostError> {
    let deadline = Instant::now() + time;
    let mut stream = connect(authority, deadline)?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.set_write_timeout(Some(left(deadline)?))?;
    // A server may have answered, and closed, before it has read all.
    let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let line = status_line(&mut stream, deadline);
    let line = written.and(line)?.trim_end().to_owned();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match status {
        Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
        _ => Err(PostError::Status(line)),
    }
}

/// Connects to the first address that listens.
fn connect(authority: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn status_line(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < STATUS_LINE && !line.contains(&b'\n') {
        let mut buffer = [0; STATUS_LINE];
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer)? {
            0 => break,
            length => line.extend_from_slice(&buffer[..length]),
        }
    }
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    Ok(String::from_utf8_lossy(&line[..end]).into_owned())
}

/// Returns the time until the deadline; an error if it has passed.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// What `post` makes of an answer, and what the server has got.
    fn answered(answer: &'static str) -> (Result<(), PostError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            while !got.ends_with(b"{}") {
                let mut buffer = [0; 512];
                let length = stream.read(&mut buffer).unwrap();
                got.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(got).unwrap()
        });
        let outcome = post(&authority, "/v1/traces", "{}", Duration::from_secs(5));
        (outcome, server.join().unwrap())
    }

    #[test]
    fn only_success_is_success() {
        let (outcome, got) = answered("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(got.starts_with("POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:"), "{got}");
        assert!(got.contains("\r\nContent-Length: 2\r\n") && got.ends_with("\r\n\r\n{}"), "{got}");
        for answer in ["HTTP/1.1 503 Busy\r\n\r\n", "", "hello\r\n", "HTTP/1.1 20\r\n"] {
            assert!(answered(answer).0.is_err(), "{answer}");
        }
    }

    #[test]
    fn a_server_that_is_silent_or_gone_keeps_nobody_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        assert!(post(&authority, "/", "{}", Duration::from_millis(50)).is_err());
        drop(listener);
        assert!(post(&authority, "/", "{}", Duration::from_secs(5)).is_err());
    }
}
