//! Applications answer with frames that were changed at random: whatever they send, each exchange ends, no Apache child
//! crashes, loses descriptors or grows, and the neighbour's requests get the neighbour's answers. The other direction
//! is `mutated` in `engine/tests/daemon`.
//!
//! `cargo bench -p wsgi-tests --bench soak_mutated [-- EXCHANGES]`

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails the run")]

use harness::{Client, Httpd, Member, Role, Site, Verdict, repetitions};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EXCHANGES: usize = 100_000;
/// Groups of one process and one thread, each with one client: a process has one connection, on which its application
/// writes.
const GROUPS: usize = 4;
const STAGES: usize = 5;
/// Longest exchange. The application itself gives up after five seconds; one that says again and again that its script
/// has changed is given up after `socket-timeout`.
const DEADLINE: Duration = Duration::from_secs(30);
/// How much an Apache child may grow after the first stage, KiB.
const MEMORY: u64 = 16 << 10;

fn main() -> ExitCode {
    let exchanges = repetitions(EXCHANGES);
    let groups: String = (0..GROUPS)
        .map(|n| {
            format!(
                "WSGIDaemonProcess hostile{n} threads=1 socket-timeout=10\n\
                 WSGIScriptAlias /hostile{n} {{apps}}/mutated.wsgi process-group=hostile{n} application-group=%{{GLOBAL}}\n"
            )
        })
        .collect();
    let site = Httpd::builder()
        .app("mutated.wsgi", include_str!("apps/mutated.wsgi"))
        .app("frames.py", include_str!("../tests/security/frames.py"))
        .app("honest.wsgi", harness::HELLO)
        .conf("WSGIDaemonProcess honest\nWSGIScriptAlias /honest {apps}/honest.wsgi process-group=honest\nMaxKeepAliveRequests 0")
        .conf(&groups)
        .log_level("crit")
        .start();
    // A record may come out of it as one that is critical.
    site.log.expect(&["/mutated.wsgi] "]);
    let honest = site.get("/honest").text();
    let (next, slowest, answered, wrong) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut stages = Vec::new();
    for stage in 1..=STAGES {
        let until = exchanges * stage / STAGES;
        std::thread::scope(|scope| {
            for group in 0..GROUPS {
                let (site, next, slowest, answered, wrong, honest) =
                    (&site, &next, &slowest, &answered, &wrong, &honest);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= until {
                            return;
                        }
                        let begun = Instant::now();
                        let answer = Client::connect(site.port()).exchange(
                            "GET",
                            &format!("/hostile{group}?{number}"),
                            &[],
                            b"",
                        );
                        let taken = begun.elapsed();
                        slowest.fetch_max(taken.as_millis() as usize, Ordering::Relaxed);
                        if let Err(error) = &answer {
                            println!("{number}: no response after {taken:.1?}: {error}");
                        }
                        answered.fetch_add(usize::from(answer.is_ok()), Ordering::Relaxed);
                        if number % 100 == 0 && site.get("/honest").text() != **honest {
                            wrong.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        next.store(until, Ordering::Relaxed);
        let members = site.census();
        println!("{until} exchanges, {} got a response; {}", answered.load(Ordering::Relaxed), describe(&members));
        stages.push(members);
    }
    let (first, last) = (&stages[0], &stages[STAGES - 1]);
    let was: BTreeMap<u32, &Member> = first.iter().map(|member| (member.pid, member)).collect();
    let same = last.iter().all(|member| was.contains_key(&member.pid));
    let change = |figure: fn(&Member) -> u64| {
        let grown = last.iter().filter_map(|now| Some(figure(now).saturating_sub(figure(was.get(&now.pid)?))));
        grown.max().unwrap_or_default()
    };
    let (memory, descriptors) = (change(|member| member.resident), change(|member| member.open() as u64));
    let slowest = Duration::from_millis(slowest.into_inner() as u64);
    let mut verdict = Verdict::default();
    verdict.bound(
        format!("each exchange has ended, the slowest after {slowest:.1?} (bound {DEADLINE:?})"),
        slowest < DEADLINE,
    );
    verdict.bound(format!("no process was lost or replaced: {}", describe(last)), same && last.len() == first.len());
    verdict.bound(
        format!("resident memory grew by {memory} KiB after the first stage (bound {MEMORY})"),
        memory <= MEMORY,
    );
    verdict.bound(format!("{descriptors} more descriptors (bound {GROUPS})"), descriptors <= GROUPS as u64);
    let wrong = wrong.into_inner();
    verdict.bound(format!("{wrong} wrong answers of the neighbour among {}", exchanges / 100), wrong == 0);
    site.finish();
    verdict.exit_code()
}

fn describe(members: &[Member]) -> String {
    let of = |role: Role| members.iter().filter(move |member| member.role == role);
    let sum = |role: Role| (of(role).count(), of(role).map(|member| member.resident).sum::<u64>());
    let ((children, held), (daemons, used)) = (sum(Role::Child), sum(Role::Daemon));
    format!("{children} children with {held} KiB, {daemons} daemons with {used} KiB")
}
