//! Exchanges that were changed at random, towards the engine: whatever comes, each connection ends, the process stays,
//! and others are served.
//!
//! `WSGI_EXCHANGES=100000 cargo test --release -p wsgi-engine --test daemon mutated` is the long run.

use super::APP;
use crate::harness::Process;

/// Without the variable.
const EXCHANGES: u64 = 500;

/// How much a process may grow between the first and the last fifth of a run, KiB.
const MEMORY: u64 = 16 << 10;

/// xorshift64*: the same numbers in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
}

fn mutate(chance: &mut Chance, stream: &[u8]) -> Vec<u8> {
    let mut data = stream.to_vec();
    for _ in 0..1 + chance.below(4) {
        let at = chance.below(data.len());
        match chance.below(5) {
            0 if !data.is_empty() => data[at] ^= 1 << chance.below(8),
            1 => data.truncate(at),
            2 => {
                let length = [0, 1, 0xffff, 1 << 24, u32::MAX][chance.below(5)].to_ne_bytes();
                let end = (at + 4).min(data.len());
                data[at..end].copy_from_slice(&length[..end - at]);
            }
            3 => {
                let piece = data[at..(at + chance.below(200)).min(data.len())].to_vec();
                data.extend(piece);
            }
            _ => drop(data.splice(at..at, (0..chance.below(20)).map(|n| (n * 37) as u8).collect::<Vec<_>>())),
        }
    }
    data
}

fn resident(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn mutated_exchanges_harm_nobody() {
    let exchanges = std::env::var("WSGI_EXCHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(EXCHANGES);
    let process = Process::start("mutated", APP, |_| {});
    process.ignore_news();
    let streams = process.exchanges();
    let mut chance = Chance(1);
    assert_eq!(process.connect().get("/").text(), "hello world");
    let (mut memory, mut open) = (0, 0);
    for number in 1..=exchanges {
        let which = chance.below(streams.len());
        process.exchange(&mutate(&mut chance, &streams[which]));
        if number % 100 == 0 {
            assert_eq!(process.connect().get("/").text(), "hello world", "after {number} exchanges");
        }
        if number == exchanges / 5 {
            (memory, open) = (resident(process.pid()), descriptors(process.pid()));
        }
    }
    let (memory_now, open_now) = (resident(process.pid()), descriptors(process.pid()));
    println!("{exchanges} exchanges: {memory} KiB, then {memory_now} KiB; {open} descriptors, then {open_now}");
    assert!(memory_now <= memory + MEMORY, "it has grown from {memory} to {memory_now} KiB");
    // A connection may be noticed to be closed a moment later.
    assert!(open_now <= open + 3, "{open} descriptors became {open_now}");
}
