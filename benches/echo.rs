//! Ten thousand random bodies of 0 to 8 MiB over sixteen connections: every one has to come back byte for byte.
//!
//! `cargo bench -p wsgi-tests --bench echo`

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails the run")]

use harness::{Httpd, MIRROR, Site, echo};
use std::time::Instant;

const CONNECTIONS: u64 = 16;
const REQUESTS: u32 = 10_000;
/// Parts of the work after which a line is printed.
const STAGES: u64 = 5;

fn main() {
    let site = Httpd::site("processes=2 threads=5", MIRROR).conf("MaxKeepAliveRequests 0").start();
    let port = site.port();
    let begun = Instant::now();
    let mut bytes = 0;
    for stage in 0..STAGES {
        let requests = REQUESTS / STAGES as u32 / CONNECTIONS as u32;
        let seeds = stage * CONNECTIONS + 1..=(stage + 1) * CONNECTIONS;
        let clients: Vec<_> = seeds.map(|seed| std::thread::spawn(move || echo(port, seed, requests))).collect();
        bytes += clients.into_iter().map(|client| client.join().expect("every body comes back")).sum::<u64>();
        println!(
            "{} requests, {} MiB each way, {:.0?}",
            (stage + 1) * u64::from(requests) * CONNECTIONS,
            bytes >> 20,
            begun.elapsed()
        );
    }
    site.finish();
    println!("every body came back byte for byte");
}
