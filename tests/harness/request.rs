//! Everyday requests to a server of a test.

use crate::raw::Client;
use crate::wait::in_time;
use serde_json::Value;
use std::fmt::{self, Debug, Formatter};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Request;

/// Longest time for one request: above every timeout that a test waits for.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server that listens on a port of 127.0.0.1, with the requests that tests make to it.
pub trait Site {
    /// The port that it listens on.
    fn port(&self) -> u16;

    /// Absolute address of a path.
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    /// One request on a connection of its own; an error when there was no complete answer.
    fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, ureq::Error> {
        send(method, &self.url(path), headers, body)
    }

    /// As [`try_request`](Self::try_request), for the tests that expect an answer.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request(method, path, headers, body).unwrap_or_else(|e| panic!("{method} {}: {e}", self.url(path)))
    }

    /// Makes the request `GET path`.
    fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// `GET path` on another thread; gives the answer and how long it took.
    fn in_background(&self, path: &str) -> JoinHandle<(Response, Duration)> {
        let url = self.url(path);
        std::thread::spawn(move || {
            let begun = Instant::now();
            (get(&url), begun.elapsed())
        })
    }

    /// Makes the request `POST path`.
    fn post(&self, path: &str, body: &[u8]) -> Response {
        self.request("POST", path, &[("Content-Type", "application/octet-stream")], body)
    }

    /// The JSON value of a Python expression inside the [`PROBE`](crate::PROBE) application that is mounted at `mount`.
    fn ask_at(&self, mount: &str, expression: &str) -> Value {
        let answer = self.get(&format!("{mount}?{}", percent_encoded(expression)));
        assert_eq!(answer.status, 200, "{expression}: {answer:?}");
        answer.json()
    }

    /// As [`ask_at`](Self::ask_at) of an application that is mounted at `/`.
    fn ask(&self, expression: &str) -> Value {
        self.ask_at("/", expression)
    }

    /// A connection to write and read bytes on.
    fn client(&self) -> Client {
        Client::connect(self.port())
    }
}

/// An answer, its body decoded from its framing.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Debug for Response {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let start = self.text().chars().take(300).collect::<String>();
        write!(f, "{} {:?} {start:?}", self.status, self.headers)
    }
}

/// What a client with a password says in its `Authorization` header (RFC 7617).
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for group in format!("{user}:{password}").as_bytes().chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        let digit = |n: usize| if n <= group.len() { char::from(DIGITS[bits >> (18 - 6 * n) & 63]) } else { '=' };
        text.extend((0..4).map(digit));
    }
    text
}

/// `GET url` on a connection of its own: what a thread can do that has no server.
#[must_use]
pub fn get(url: &str) -> Response {
    send("GET", url, &[], b"").unwrap_or_else(|e| panic!("GET {url}: {e}"))
}

/// One request on a connection of its own.
pub(crate) fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response, ureq::Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = if body.is_empty() && method != "POST" {
        agent().run(request.body(())?)?
    } else {
        agent().run(request.body(body)?)?
    };
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Ok(Response {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: response.body_mut().with_config().limit(u64::MAX).read_to_vec()?,
    })
}

/// One agent without kept connections: a test that wants to keep one uses [`Client`].
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(None)
            .timeout_global(Some(in_time(DEADLINE)))
            .build()
            .into()
    })
}

/// A text as a query string has it.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}
