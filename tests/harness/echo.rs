//! Random bodies that have to come back byte for byte.

use crate::raw::Client;

/// An application that sends the request's body back in one piece.
pub const MIRROR: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
"#;

const LARGEST: u64 = 8 << 20;

/// Sends bodies of 0 to 8 MiB to the [`MIRROR`] at this port, one after the other on one connection, and fails when one
/// comes back different; `seed`, not zero, chooses the bodies. Gives the number of bytes sent.
pub fn echo(port: u16, seed: u64, requests: u32) -> u64 {
    let (mut client, mut random, mut sent) = (Client::connect(port), Random(seed), 0);
    for _ in 0..requests {
        let body = random.body();
        let length = format!("Content-Length: {}", body.len());
        let answer =
            client.exchange("POST", "/", &[&length], &body).unwrap_or_else(|e| panic!("{} bytes: {e}", body.len()));
        assert_eq!((answer.status, answer.complete), (200, true), "{} bytes", body.len());
        assert!(answer.body == body, "{} bytes came back as {} others", body.len(), answer.body.len());
        sent += body.len() as u64;
    }
    sent
}

/// A xorshift generator: the same bodies in every run, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One body in four is of any size up to the largest; the others are random in their magnitude, so that small ones,
    /// which take other ways through the server, are as frequent as large ones.
    fn body(&mut self) -> Vec<u8> {
        let limit = if self.next() % 4 == 0 { LARGEST } else { LARGEST >> (self.next() % 24) };
        let size = self.next() % (limit + 1);
        let mut body: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        body.truncate(usize::try_from(size).expect("a size in memory"));
        body
    }
}
