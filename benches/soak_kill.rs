//! Daemons die by `kill -9` again and again under load: only what the dead one had may fail, each with 502 and none
//! executed twice, and the service is whole again within two seconds each time.
//!
//! `cargo bench -p wsgi-tests --bench soak_kill [-- KILLS]`

use harness::{Job, Load, Outcome, Verdict, busy, executions, kill, open_notes, repetitions, whole};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const KILLS: usize = 100;
const PROCESSES: usize = 3;
const THREADS: usize = 5;
const CLIENTS: usize = 12;
const LIMIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let repetitions = repetitions(KILLS);
    let site = busy(&format!("processes={PROCESSES} threads={THREADS}"), Duration::ZERO).start();
    open_notes(&site);
    let load = Load::mixed(&site, &[Job::get("/brief?{id}"), Job::post("/brief?{id}", 200_000)], CLIENTS);
    let mut alive = whole(&site, PROCESSES, &[]);
    let (mut kills, mut slowest) = (HashMap::new(), Duration::ZERO);
    for number in 1..=repetitions {
        // Any of them, at any moment of its requests: the multiplication spreads the choices (Knuth).
        let random = (number as u32).wrapping_mul(2_654_435_769) >> 16;
        std::thread::sleep(Duration::from_micros(u64::from(random % 10_000)));
        let victim = alive[random as usize % PROCESSES];
        let killed = Instant::now();
        assert!(kill(victim, libc::SIGKILL), "process {victim} has ended by itself");
        alive = whole(&site, PROCESSES, &[victim]);
        slowest = slowest.max(killed.elapsed());
        kills.insert(victim, killed);
        if number % 10 == 0 {
            println!("{number} of {repetitions} processes killed, slowest recovery {slowest:.1?}");
        }
    }
    let outcomes = load.stop();
    let executed = executions(&site);
    site.finish();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_success()).collect();
    let explained = failed.iter().filter(|outcome| is_explained(outcome, &kills, &executed)).count();
    let begun = failed.iter().filter(|outcome| executed.contains_key(&outcome.id.to_string())).count();
    println!(
        "{} requests, {} failed: {begun} while they were executed by a process that was killed, {} before they began there",
        outcomes.len(),
        failed.len(),
        failed.len() - begun
    );
    let mut verdict = Verdict::default();
    verdict.bound(format!("{explained} of {} failures are a 502 of what a killed process had", failed.len()), {
        explained == failed.len()
    });
    for outcome in failed.iter().filter(|outcome| !is_explained(outcome, &kills, &executed)) {
        println!("     {outcome:?}, executed by {:?}", executed.get(&outcome.id.to_string()));
    }
    let max = repetitions * THREADS;
    verdict.bound(format!("{} failures, {max} threads killed", failed.len()), failed.len() <= max);
    let twice: Vec<_> = executed.iter().filter(|(_, processes)| processes.len() > 1).collect();
    verdict.bound(format!("{} executions, none of a request twice {twice:?}", executed.len()), twice.is_empty());
    verdict.bound(format!("slowest recovery {slowest:.1?} (bound {LIMIT:.1?})"), slowest < LIMIT);
    verdict.exit_code()
}

/// Whether this is the 502 of a request that was under way when a process was killed, and that nobody but this process
/// has executed.
fn is_explained(outcome: &Outcome, kills: &HashMap<u32, Instant>, executed: &HashMap<String, Vec<u32>>) -> bool {
    let during = |killed: &Instant| outcome.sent <= *killed && *killed <= outcome.done;
    let victim = match executed.get(&outcome.id.to_string()).map(Vec::as_slice) {
        Some([process]) => kills.get(process).is_some_and(during),
        // The process had read it and was killed before it began.
        None => kills.values().any(during),
        Some(_) => false,
    };
    victim && matches!(outcome.answer, Ok((502, _)))
}
