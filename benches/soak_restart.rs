//! Everything that replaces processes, again and again under steady load: Apache graceful, a touched script, SIGUSR1 to
//! a daemon. No request may fail or be executed twice, and those that are fast stay fast.
//!
//! `cargo bench -p wsgi-tests --bench soak_restart [-- REPETITIONS]`

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails the run")]

use harness::{
    Httpd, Job, Load, Role, Verdict, alive, busy, eventually, executions, kill, open_notes, repetitions, whole,
};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

const REPETITIONS: usize = 20;
const PROCESSES: usize = 3;
/// How long the load runs without any disturbance, to compare with.
const QUIET: Duration = Duration::from_secs(10);
/// From one disturbance to the next, if the first one is over by then.
const INTERVAL: Duration = Duration::from_secs(5);
/// Longest time until what was to be replaced is gone.
const DEADLINE: Duration = Duration::from_secs(60);
/// What the application takes to be imported, and what may come on top where requests wait for the new code.
const IMPORT: Duration = Duration::from_millis(500);
const MARGIN: Duration = Duration::from_millis(300);
/// How many times slower the slowest hundredth may be while processes are replaced.
const FACTOR: u32 = 3;

/// A steady load of sixteen connections: path, size of the body, how many of them, and their pause between two
/// requests.
const LOAD: [(&str, usize, usize, Duration); 3] = [
    ("/fast", 0, 10, Duration::from_millis(10)),
    ("/upload", 1 << 20, 4, Duration::from_millis(50)),
    ("/slow", 0, 2, Duration::ZERO),
];
/// A file that Apache serves without us: what it says is what Apache's own restarts cost.
const STATIC: (&str, usize, usize, Duration) = ("/static.txt", 0, 1, Duration::from_millis(10));

/// What is done to the server again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    None,
    Graceful,
    Touch,
    Signal,
}

fn main() -> ExitCode {
    let repetitions = repetitions(REPETITIONS);
    let mut verdict = Verdict::default();
    let mut rolling = Busy::start("script-reload=rolling");
    for disturbance in [Disturbance::Graceful, Disturbance::Touch, Disturbance::Signal] {
        // Each time anew: what else the machine does changes.
        let quiet = rolling.disturb(Disturbance::None, 1, &mut verdict);
        let p99 = rolling.disturb(disturbance, repetitions, &mut verdict);
        let what = format!("{disturbance:?}: p99 {p99:.1?}, quiet {quiet:.1?} (bound {FACTOR} times that)");
        verdict.bound(what, p99 <= quiet * FACTOR);
    }
    rolling.finish(&mut verdict);
    let mut waiting = Busy::start("");
    let p99 = waiting.disturb(Disturbance::Touch, repetitions, &mut verdict);
    let bound = IMPORT + MARGIN;
    verdict.bound(format!("Touch, requests wait: p99 {p99:.1?} (bound {bound:.1?})"), p99 <= bound);
    waiting.finish(&mut verdict);
    verdict.exit_code()
}

/// A server under load.
struct Busy {
    site: Httpd,
    /// Requests that were sent, by name, and whether the answer was a whole 200.
    sent: HashMap<String, bool>,
}

impl Busy {
    fn start(options: &str) -> Self {
        let site = busy(&format!("processes={PROCESSES} threads=8 {options}"), IMPORT)
            .file("htdocs/static.txt", "static")
            .conf("Alias /static.txt {root}/htdocs/static.txt")
            .start();
        open_notes(&site);
        println!("script-reload {}", if options.is_empty() { "as by default" } else { options });
        Self { site, sent: HashMap::new() }
    }

    /// Keeps the load up during so many disturbances and gives the 99th percentile of the fast requests.
    fn disturb(&mut self, disturbance: Disturbance, times: usize, verdict: &mut Verdict) -> Duration {
        let begun = Instant::now();
        let phase = format!("{disturbance:?}-{}", self.sent.len());
        let loads = [LOAD[0], LOAD[1], LOAD[2], STATIC].map(|(path, size, clients, pause)| {
            let job = Job::post(&format!("{path}?{phase}{path}-{{id}}"), size).then_wait(pause);
            (path, Load::mixed(&self.site, &[job], clients))
        });
        for number in 0..times {
            self.once(disturbance, number);
        }
        let mut failures: BTreeMap<String, usize> = BTreeMap::new();
        let mut fast = Duration::ZERO;
        for (path, load) in loads {
            let outcomes = load.stop();
            for outcome in &outcomes {
                if let Some(failure) = outcome.failure() {
                    *failures.entry(format!("{path} {failure}")).or_default() += 1;
                }
                if path != STATIC.0 {
                    self.sent.insert(format!("{phase}{path}-{}", outcome.id), outcome.is_success());
                }
            }
            let mut latencies: Vec<_> = outcomes.iter().map(harness::Outcome::latency).collect();
            latencies.sort_unstable();
            let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
            let resent = outcomes.iter().filter(|outcome| outcome.resent).count();
            println!(
                "  {:>8} {path:<12} {:>6} requests, {resent} sent again, p50 {:.1?}, p99 {:.1?}, slowest {:.1?}",
                format!("{disturbance:?}"),
                outcomes.len(),
                at(50),
                at(99),
                at(100)
            );
            if path == LOAD[0].0 {
                fast = at(99);
            }
        }
        let what = format!("{disturbance:?} {times} times in {:.0?}: no request failed", begun.elapsed());
        verdict.bound(format!("{what} {failures:?}"), failures.is_empty());
        fast
    }

    fn once(&mut self, disturbance: Disturbance, number: usize) {
        let begun = Instant::now();
        let daemons = self.site.census().into_iter().filter(|member| member.role == Role::Daemon);
        let daemons: Vec<_> = daemons.map(|member| member.pid).collect();
        let replaced = match disturbance {
            Disturbance::None => return std::thread::sleep(QUIET),
            Disturbance::Graceful => {
                self.site.signal(libc::SIGUSR1);
                daemons
            }
            Disturbance::Touch => {
                let script = File::options().append(true).open(self.site.root().join("apps/site.wsgi"));
                script.and_then(|script| script.set_modified(SystemTime::now())).expect("the script is there");
                daemons
            }
            Disturbance::Signal => {
                let victim = daemons[number % daemons.len()];
                assert!(kill(victim, libc::SIGUSR1), "process {victim} has ended by itself");
                vec![victim]
            }
        };
        let gone = eventually(DEADLINE, || (!replaced.iter().any(|pid| alive(*pid))).then_some(()));
        assert!(gone.is_some(), "{disturbance:?}: of {replaced:?} some still run: {:#?}", self.site.census());
        // What is done while new processes load may be seen by some of them and not by others.
        let _ = whole(&self.site, PROCESSES, &replaced);
        std::thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
    }

    /// Ends the server and compares what it has executed with what was sent.
    fn finish(self, verdict: &mut Verdict) {
        let executed = executions(&self.site);
        self.site.finish();
        let twice: Vec<_> = executed.iter().filter(|(_, processes)| processes.len() > 1).collect();
        verdict.bound(format!("{} executions, none of a request twice {twice:?}", executed.len()), twice.is_empty());
        let failed: Vec<_> = self.sent.iter().filter(|(_, success)| !**success).map(|(name, _)| name).collect();
        let begun = failed.iter().filter(|name| executed.contains_key(**name)).count();
        println!("     {} of {} failed requests were executed", begun, failed.len());
        let mut answered = self.sent.iter().filter(|(_, success)| **success);
        verdict.bound("every answer is that of an execution", answered.all(|(name, _)| executed.contains_key(name)));
    }
}
