//! Requests that are known to be executed, for tests that do something meanwhile.

use crate::httpd::Httpd;
use crate::raw::{Answer, Client};
use crate::request::{Site, percent_encoded};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

/// The number of the next request.
static NEXT: AtomicU32 = AtomicU32::new(1);

impl Httpd {
    /// Has the application at `/` evaluate a Python expression ([`PROBE`](crate::PROBE)), on a connection of its own,
    /// and returns when the application has begun to: it says so in the log. The thread that is returned gives the
    /// answer.
    pub fn executing(&self, expression: &str) -> JoinHandle<io::Result<Answer>> {
        self.executing_at("/", expression)
    }

    /// As [`executing`](Self::executing), of an application that is mounted at `mount`.
    pub fn executing_at(&self, mount: &str, expression: &str) -> JoinHandle<io::Result<Answer>> {
        let begun = format!("request {} of the test is executed", NEXT.fetch_add(1, Ordering::Relaxed));
        let expression = format!("print({begun:?}, flush=True) or ({expression})");
        let (port, path) = (self.port(), format!("{mount}?{}", percent_encoded(&expression)));
        let client = std::thread::spawn(move || Client::connect(port).exchange("GET", &path, &[], b""));
        self.log.wait_for(&begun);
        client
    }
}
