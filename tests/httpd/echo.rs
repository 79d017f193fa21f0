//! Bodies of every size come back byte for byte. `benches/echo` does the same with ten thousand of them.

use harness::{Client, Httpd, Site};

const CONNECTIONS: u64 = 16;
const REQUESTS: u64 = 19; // on each connection
const LARGEST: u64 = 8 << 20;

const MIRROR: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]
"#;

#[test]
fn random_bodies_come_back_byte_for_byte_over_sixteen_connections() {
    let site = Httpd::site("processes=2 threads=5", MIRROR).start();
    let port = site.port();
    let clients = (0..CONNECTIONS).map(|number| std::thread::spawn(move || converse(port, Random(number + 1))));
    for client in clients.collect::<Vec<_>>() {
        client.join().expect("every body comes back");
    }
    site.finish();
}

fn converse(port: u16, mut random: Random) {
    let mut client = Client::connect(port);
    for _ in 0..REQUESTS {
        let body = random.body();
        let length = format!("Content-Length: {}", body.len());
        // The server may answer before it has read everything, so both directions are open at once.
        let answer =
            client.exchange("POST", "/", &[&length], &body).unwrap_or_else(|e| panic!("{} bytes: {e}", body.len()));
        assert_eq!((answer.status, answer.complete), (200, true), "{} bytes", body.len());
        assert!(answer.body == body, "{} bytes came back as {} others", body.len(), answer.body.len());
    }
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

    /// Small bodies are as frequent as large ones: the size is random in its magnitude.
    fn body(&mut self) -> Vec<u8> {
        let limit = LARGEST >> (self.next() % 24);
        let size = self.next() % (limit + 1);
        let mut body: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        body.truncate(usize::try_from(size).expect("a size in memory"));
        body
    }
}
