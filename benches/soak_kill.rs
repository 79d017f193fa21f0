//! Daemons die by `kill -9` again and again under load: only what the dead one was executing may fail, and the service is
//! whole again within two seconds each time.
//!
//! `cargo bench -p wsgi-tests --bench soak_kill`

use harness::{Httpd, Load, PROBE, daemons, kill};
use std::time::{Duration, Instant};

const KILLS: u32 = 20;
const PROCESSES: usize = 3;
const THREADS: usize = 5;
const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    let site = Httpd::site(&format!("processes={PROCESSES} threads={THREADS}"), PROBE).start();
    let load = Load::start(&site, "/?time.sleep(0.005)%20or%20os.getpid()", 12);
    let mut whole = daemons(&site, PROCESSES, None);
    let (mut kills, mut slowest) = (Vec::new(), Duration::ZERO);
    for number in 1..=KILLS {
        let victim = whole[number as usize % PROCESSES];
        let killed = Instant::now();
        assert!(kill(victim, libc::SIGKILL), "process {victim} has ended by itself");
        whole = daemons(&site, PROCESSES, Some(victim));
        slowest = slowest.max(killed.elapsed());
        kills.push(killed);
        println!("kill {number} of {KILLS}: process {victim}, whole again after {:.0?}", killed.elapsed());
    }
    let outcomes = load.stop();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_success()).collect();
    println!("{} requests, {} failed, slowest recovery {slowest:.0?}", outcomes.len(), failed.len());
    site.finish();
    for outcome in &failed {
        let running = kills.iter().any(|killed| outcome.sent < *killed && outcome.done > *killed);
        assert!(running, "a request failed that no dead process was executing: {outcome:?}");
    }
    assert!(failed.len() <= KILLS as usize * THREADS, "more requests failed than the dead processes were executing");
    assert!(slowest < LIMIT, "the service was not whole for {slowest:?}");
}
