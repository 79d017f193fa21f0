//! Requests of every kind, in daemon mode and in embedded mode: nothing may be left behind by any of them. Resident
//! memory of every process stays within 2 MiB of what it was after the warm-up, and descriptors, Python objects and
//! reference counts stay as they were.
//!
//! `cargo bench -p wsgi-tests --bench leak [-- [REQUESTS] [PYTHON_HOME]]`

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails the run")]

use harness::{Client, Httpd, Member, Role, Site, Verdict, repetitions};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const REQUESTS: usize = 200_000;
const CLIENTS: usize = 12;
/// Parts of the work; after each of them everything is counted.
const STAGES: usize = 10;
/// Requests after which every thread has done everything often enough to hold all the memory that it needs, and
/// Python's caches are full.
const WARM_UP: usize = 80_000;
/// How far resident memory may be from what it was after the warm-up, KiB.
const MEMORY: u64 = 2048;
/// The main interpreter and two sub-interpreters.
const MOUNTS: [&str; 3] = ["/main", "/one", "/two"];

fn main() -> ExitCode {
    let requests = repetitions(REQUESTS);
    let mut verdict = Verdict::default();
    run("daemon mode", "process-group=mixed", requests, &mut verdict);
    run("embedded mode", "", requests, &mut verdict);
    verdict.exit_code()
}

fn run(mode: &str, place: &str, requests: usize, verdict: &mut Verdict) {
    let aliases = ["%{GLOBAL}", "one", "two"].iter().zip(MOUNTS).map(|(group, mount)| {
        format!("WSGIScriptAlias {mount} {{apps}}/mixed.wsgi {place} application-group={group}\n")
    });
    let home = std::env::args().skip(1).find(|word| word.starts_with('/'));
    let site = Httpd::builder()
        .conf(&home.map(|home| format!("WSGIPythonHome {home}")).unwrap_or_default())
        .app("mixed.wsgi", include_str!("apps/mixed.wsgi"))
        .conf(
            "WSGIDaemonProcess mixed threads=5\nWSGIChunkedRequest On\nMaxKeepAliveRequests 0\nWSGIRestrictStdout Off",
        )
        .conf(&aliases.collect::<String>())
        .log_level("warn")
        // The allocator of the C library gives back at once what is freed: what is resident is what is held, not what
        // may be of use again.
        .env("MALLOC_MMAP_THRESHOLD_", "65536")
        .env("MALLOC_TRIM_THRESHOLD_", "65536")
        .env("MALLOC_ARENA_MAX", "2")
        .start();
    println!("{mode}: {requests} requests");
    let begun = Instant::now();
    load(site.port(), WARM_UP);
    // To count is something that Python has to warm up to as well.
    let [.., before] = [(); STAGES].map(|()| Stage::of(&site));
    println!("  {WARM_UP} to warm up {:>3.0?}  {before}", begun.elapsed());
    let stages = (1..=STAGES).map(|stage| {
        load(site.port(), requests / STAGES);
        let counted = Stage::of(&site);
        println!("  {:>3} % after {:>3.0?}  {counted}", stage * 100 / STAGES, begun.elapsed());
        counted
    });
    let stages: Vec<_> = stages.collect();
    site.finish();
    // A kind of request that leaves one thing behind each time would make twice as much. Python's method cache, which
    // fills up slowly with names that were looked up, makes some hundreds.
    let slack = (requests / MIX.len() / 2).max(1000) as u64;
    judge(mode, &before, &stages, slack, verdict);
}

fn judge(mode: &str, before: &Stage, after: &[Stage], slack: u64, verdict: &mut Verdict) {
    let mut worst = 0;
    let mut complaints = Vec::new();
    for stage in after {
        for member in &stage.members {
            let Some(was) = before.members.iter().find(|was| was.pid == member.pid) else {
                complaints.push(format!("{:?} {} is a new process", member.role, member.pid));
                continue;
            };
            worst = worst.max(was.resident.abs_diff(member.resident));
            // Connections between a child and its daemons come and go with the clients.
            if was.open().abs_diff(member.open()) > CLIENTS {
                complaints.push(format!("{:?}: {:?} became {:?}", member.role, was.descriptors, member.descriptors));
            }
        }
    }
    verdict.bound(format!("{mode}: resident memory within {worst} KiB (bound {MEMORY})"), worst <= MEMORY);
    verdict
        .bound(format!("{mode}: no new process, descriptors within {CLIENTS} {complaints:#?}"), complaints.is_empty());
    let last = &after[after.len() - 1].python;
    let grown: BTreeMap<_, _> = last
        .iter()
        .map(|(name, count)| (name, count - before.python.get(name).copied().unwrap_or(0)))
        .filter(|(_, change): &(_, i64)| change.unsigned_abs() > slack)
        .collect();
    verdict.bound(format!("{mode}: {} counts of Python within {slack} {grown:?}", last.len()), grown.is_empty());
}

/// What there is after a stage.
struct Stage {
    members: Vec<Member>,
    python: BTreeMap<String, i64>,
}

impl Stage {
    fn of(site: &Httpd) -> Self {
        let mut python = BTreeMap::new();
        // Twice, because interpreters share objects: each collects its garbage before all of them count.
        for mount in MOUNTS.iter().chain(&MOUNTS) {
            let figures = site.get(&format!("{mount}/figures")).json();
            count(mount, &figures["objects"], &mut python);
            count(mount, &figures["references"], &mut python);
            // Blocks of memory that Python's allocator has given out: what is no object of the collector is in here.
            python.insert("blocks".to_owned(), figures["blocks"].as_i64().expect("a number"));
        }
        Self { members: site.census(), python }
    }
}

fn count(mount: &str, figures: &Value, into: &mut BTreeMap<String, i64>) {
    for (name, figure) in figures.as_object().expect("figures") {
        into.insert(format!("{mount} {name}"), figure.as_i64().expect("a number"));
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Member { role, resident, .. } in &self.members {
            let role = match role {
                Role::Parent => "parent",
                Role::Child => "child",
                Role::Supervisor => "supervisor",
                Role::Daemon => "daemon",
                Role::Other => "other",
            };
            write!(f, "{role} {resident} ")?;
        }
        let descriptors: Vec<_> = self.members.iter().map(Member::open).collect();
        write!(f, "KiB, {descriptors:?} descriptors, {} blocks", self.python["blocks"])
    }
}

/// What a client does.
#[derive(Clone, Copy)]
enum Act {
    /// Sends a request with a body of this size and reads the whole answer, which has this status and is whole or not.
    Asks(&'static str, usize, u16, bool),
    /// As above, the body in chunks.
    Chunks(usize),
    /// With a hundred headers.
    Headers,
    /// Reads this many bytes of the answer and goes.
    Leaves(usize),
    /// Sends less than it has announced and goes.
    Breaks,
}

const MIX: [(&str, Act); 29] = [
    ("hello", Act::Asks("GET", 0, 200, true)),
    ("hello", Act::Asks("HEAD", 0, 200, true)),
    ("large", Act::Asks("GET", 0, 200, true)),
    ("large", Act::Asks("HEAD", 0, 200, true)),
    ("pieces", Act::Asks("GET", 0, 200, true)),
    ("raises", Act::Asks("GET", 0, 500, true)),
    ("raises_late", Act::Asks("GET", 0, 200, false)),
    ("raises_last", Act::Asks("GET", 0, 200, true)),
    ("hints", Act::Asks("GET", 0, 200, true)),
    ("measures", Act::Asks("GET", 0, 200, true)),
    ("replaced", Act::Asks("GET", 0, 503, true)),
    ("written", Act::Asks("GET", 0, 200, true)),
    ("wrapped", Act::Asks("GET", 0, 200, true)),
    ("wrapped", Act::Asks("HEAD", 0, 200, true)),
    ("wrapped_object", Act::Asks("GET", 0, 200, true)),
    ("nothing", Act::Asks("GET", 0, 204, true)),
    ("unchanged", Act::Asks("GET", 0, 304, true)),
    ("says", Act::Asks("GET", 0, 200, true)),
    ("echo", Act::Asks("POST", 100, 200, true)),
    ("echo", Act::Asks("POST", 600_000, 200, true)),
    ("echo", Act::Chunks(70_000)),
    ("lines", Act::Asks("POST", 20_000, 200, true)),
    ("partly", Act::Asks("POST", 200_000, 200, true)),
    ("hello", Act::Asks("POST", 1000, 200, true)),
    ("headers", Act::Headers),
    ("endless", Act::Leaves(100_000)),
    ("large", Act::Leaves(10)),
    ("hello", Act::Leaves(0)),
    ("echo", Act::Breaks),
];

fn load(port: u16, requests: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    let (name, act) = MIX[number % MIX.len()];
                    let path = format!("{}/{name}", MOUNTS[number / MIX.len() % MOUNTS.len()]);
                    let client = connection.take().unwrap_or_else(|| Client::connect(port));
                    connection = act.perform(client, &path);
                }
            });
        }
    });
}

impl Act {
    /// Gives the connection back if another request may follow on it.
    fn perform(self, mut client: Client, path: &str) -> Option<Client> {
        let answer = match self {
            Self::Leaves(bytes) => {
                client.send_head("GET", path, &[]).expect("the server listens");
                client.read(bytes).expect("so much is sent");
                return None;
            }
            Self::Breaks => {
                client.send_head("POST", path, &["Content-Length: 500000"]).expect("the server listens");
                client.send(&[b'x'; 70_000]).expect("the server listens");
                return None;
            }
            Self::Asks(method, size, ..) => {
                let length = format!("Content-Length: {size}");
                let headers = if size > 0 { vec![&*length] } else { vec![] };
                client.exchange(method, path, &headers, &vec![b'x'; size])
            }
            Self::Chunks(size) => {
                let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
                let body = [&chunk, &chunk, "0\r\n\r\n"].concat();
                client.exchange("POST", path, &["Transfer-Encoding: chunked"], body.as_bytes())
            }
            Self::Headers => {
                let lines: Vec<_> = (0..60).map(|n| format!("X-Header-{n}: {}", "x".repeat(100))).collect();
                client.exchange("GET", path, &lines.iter().map(String::as_str).collect::<Vec<_>>(), b"")
            }
        };
        let answer = answer.unwrap_or_else(|e| panic!("{path}: {e}"));
        let expected = if let Self::Asks(_, _, status, whole) = self { (status, whole) } else { (200, true) };
        assert_eq!((answer.status, answer.complete), expected, "{path}");
        let keep = answer.complete && answer.all("Connection").is_empty();
        keep.then_some(client)
    }
}
