//! Clients that keep a server busy.

use crate::raw::{Answer, Client};
use crate::request::Site;
use crate::wait::eventually;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time until a dead daemon is replaced.
const DEADLINE: Duration = Duration::from_secs(20);

/// One request that clients send again and again.
#[derive(Clone, Debug)]
pub struct Job {
    /// The method of the request.
    pub method: &'static str,
    /// Path and query; `{id}` in it stands for a number that no other request has.
    pub path: String,
    /// The body of the request.
    pub body: Vec<u8>,
    /// How long its client waits after the answer.
    pub pause: Duration,
}

impl Job {
    /// The job `GET path`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), body: Vec::new(), pause: Duration::ZERO }
    }

    /// `POST path` with a body of this many bytes.
    #[must_use]
    pub fn post(path: &str, size: usize) -> Self {
        Self { method: "POST", path: path.to_owned(), body: vec![b'x'; size], pause: Duration::ZERO }
    }

    /// Lets its clients wait for so long after each answer.
    #[must_use]
    pub fn then_wait(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

/// One request of a load.
#[derive(Debug)]
pub struct Outcome {
    /// Which of the jobs it was.
    pub job: usize,
    /// The number that stood for `{id}`.
    pub id: u64,
    /// When it was sent.
    pub sent: Instant,
    /// When its answer was there, or its connection broken.
    pub done: Instant,
    /// Whether it was sent again on a new connection because the server had closed the kept one without a byte of an
    /// answer, as it may between two requests (RFC 9112 §9.5).
    pub resent: bool,
    /// Status and body of a whole answer; what went wrong otherwise.
    pub answer: Result<(u16, Vec<u8>), String>,
}

impl Outcome {
    /// Whether the answer was a whole 200.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.answer, Ok((200, _)))
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &self.answer {
            Ok((200, _)) => None,
            Ok((status, _)) => Some(format!("answered {status}")),
            Err(error) => Some(error.clone()),
        }
    }

    /// From sending to the end of the answer.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.done - self.sent
    }
}

/// Clients that send requests one after the other, each on connections that it keeps, until they are told to stop.
pub struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Outcome>>>,
}

impl Load {
    /// Starts this many clients that `GET path`.
    #[must_use]
    pub fn start(site: &impl Site, path: &str, clients: usize) -> Self {
        Self::mixed(site, &[Job::get(path)], clients)
    }

    /// Starts this many clients; each takes one job after the other.
    #[must_use]
    pub fn mixed(site: &impl Site, jobs: &[Job], clients: usize) -> Self {
        let (over, ids) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients).map(|number| {
            let sender = Sender { port: site.port(), jobs: jobs.to_vec(), connection: None, ids: Arc::clone(&ids) };
            let over = Arc::clone(&over);
            std::thread::spawn(move || sender.run(number, &over))
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

/// Waits until `count` daemons serve the [`PROBE`](crate::PROBE) at `/`, none of them `dead`, and gives their process
/// ids. There should be a load, because a request goes to the same daemon as the one before while that one is idle.
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

/// One client of the load, with the connection that it keeps as long as that lasts.
struct Sender {
    port: u16,
    jobs: Vec<Job>,
    connection: Option<Client>,
    ids: Arc<AtomicU64>,
}

impl Sender {
    fn run(mut self, first: usize, over: &AtomicBool) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        // Clients do not all send the same at the same time.
        for job in (0..self.jobs.len()).cycle().skip(first) {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let (sent, mut resent) = (Instant::now(), false);
            let answer = self.send(job, id, &mut resent).map_err(|error| error.to_string());
            let answer = answer.and_then(|answer| match answer.complete {
                true => Ok((answer.status, answer.body)),
                false => Err(format!("an incomplete {}", answer.status)),
            });
            outcomes.push(Outcome { job, id, sent, done: Instant::now(), resent, answer });
            std::thread::sleep(self.jobs[job].pause);
        }
        outcomes
    }

    fn send(&mut self, job: usize, id: u64, resent: &mut bool) -> io::Result<Answer> {
        if let Some(kept) = self.connection.take() {
            if let Some(answer) = self.exchange(kept, job, id)? {
                return Ok(answer);
            }
            *resent = true;
        }
        let answer = self.exchange(Client::try_connect(self.port)?, job, id)?;
        answer.ok_or_else(|| io::Error::other("closed without an answer"))
    }

    /// `None` when the server closes the connection without a byte of an answer.
    fn exchange(&mut self, mut client: Client, job: usize, id: u64) -> io::Result<Option<Answer>> {
        let Job { method, path, body, .. } = &self.jobs[job];
        let length = format!("Content-Length: {}", body.len());
        let headers = if body.is_empty() { vec![] } else { vec![&*length] };
        let sent = client.send_head(method, &path.replace("{id}", &id.to_string()), &headers);
        // Whether all was sent does not matter: the answer may come before that.
        let _ = sent.and_then(|()| client.send(body));
        if !client.answers()? {
            return Ok(None);
        }
        let answer = client.answer(method)?;
        let closes = answer.all("Connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
        self.connection = (answer.complete && !closes).then_some(client);
        Ok(Some(answer))
    }
}
