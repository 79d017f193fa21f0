//! Clients that keep a server busy.

use crate::raw::Client;
use crate::request::Site;
use crate::wait::eventually;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time until a dead daemon is replaced.
const DEADLINE: Duration = Duration::from_secs(20);

/// One request of a load.
#[derive(Debug)]
pub struct Outcome {
    /// When it was sent.
    pub sent: Instant,
    /// When its answer was there, or its connection broken.
    pub done: Instant,
    /// Status and body of a whole answer; what went wrong otherwise.
    pub answer: Result<(u16, Vec<u8>), String>,
}

impl Outcome {
    /// Whether the answer was a whole 200.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.answer, Ok((200, _)))
    }
}

/// Clients that send `GET path` one after the other, each on connections that it keeps, until they are told to stop.
pub struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Outcome>>>,
}

impl Load {
    /// Starts this many clients.
    #[must_use]
    pub fn start(site: &impl Site, path: &str, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let clients = (0..clients).map(|_| {
            let (over, path, port) = (Arc::clone(&over), path.to_owned(), site.port());
            std::thread::spawn(move || requests(port, &path, &over))
        });
        Self { clients: clients.collect(), over }
    }

    /// Lets the clients finish their last requests and gives all outcomes.
    #[must_use]
    pub fn stop(self) -> Vec<Outcome> {
        self.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client thread")).collect()
    }
}

/// Waits until `count` daemons serve the [`PROBE`](crate::PROBE) at `/`, none of them `dead`, and gives their process ids.
/// There should be a load, because a request goes to the same daemon as the one before while that one is idle.
#[must_use]
pub fn daemons(site: &impl Site, count: usize, dead: Option<u32>) -> Vec<u32> {
    let mut seen = BTreeSet::new();
    let all = eventually(DEADLINE, || {
        let answer = site.try_request("GET", "/?os.getpid()", &[], b"").ok().filter(|answer| answer.status == 200)?;
        seen.extend(answer.text().parse().ok().filter(|pid| Some(*pid) != dead));
        (seen.len() == count).then_some(())
    });
    assert!(all.is_some(), "only {seen:?} serve");
    seen.into_iter().collect()
}

fn requests(port: u16, path: &str, over: &AtomicBool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut connection: Option<Client> = None;
    while !over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let mut client = match connection.take().map_or_else(|| Client::try_connect(port), Ok) {
            Ok(client) => client,
            Err(e) => {
                outcomes.push(Outcome { sent, done: Instant::now(), answer: Err(e.to_string()) });
                continue;
            }
        };
        let answer = match client.exchange("GET", path, &[], b"") {
            Ok(answer) if answer.complete => {
                let keep = !answer.all("Connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
                connection = keep.then_some(client);
                Ok((answer.status, answer.body))
            }
            Ok(answer) => Err(format!("an incomplete {}", answer.status)),
            Err(e) => Err(e.to_string()),
        };
        outcomes.push(Outcome { sent, done: Instant::now(), answer });
    }
    outcomes
}
