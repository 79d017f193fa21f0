//! Starts and watches the daemon processes of all process groups. The Apache module starts this program and sends it
//! the configuration; `docs/architecture.md` has the contract.
//!
//! Knows processes, users, sockets and the table. Must not know Python, httpd or requests: of an application it sees a
//! process and the messages of that.

mod administration;
mod apache;
mod backoff;
mod channel;
mod configuration;
mod exporter;
mod fleet;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod group_history;
mod leftovers;
mod lifecycle;
mod listener;
mod log;
mod memory;
mod notify;
mod orphans;
mod outbox;
mod output;
mod privileges;
mod process;
mod signals;
mod supervisor;
mod sys;
mod telemetry;

use std::io;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use wsgi_wire::export::EXPORTER;
use wsgi_wire::messages::processes;

use rustix::fs::Mode;
use rustix::process::umask;

use channel::Channel;
use log::Log;
use signals::Signals;
use supervisor::Supervisor;
use sys::descriptors::{self, Inherited};
use sys::table::Table;

/// Runs the supervisor until Apache has told it to stop, or is gone.
pub fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(EXPORTER) {
        return exporter::main(words);
    }
    let log = Log::provisional();
    match run(log.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.record(&processes::SUPERVISOR_FAILED, &format!(
                "the supervisor of the daemon processes cannot go on: {error}; it is started by the Apache module only"
            ));
            ExitCode::FAILURE
        }
    }
}

fn run(log: Log) -> io::Result<()> {
    let Inherited { control, table, scoreboard, placeholders: _placeholders } = descriptors::inherit()?;
    if let Err(error) = privileges::reduce() {
        log.record(
            &processes::PRIVILEGES_KEPT,
            &format!("the supervisor cannot give up privileges that it does not need: {error}"),
        );
    }
    if let Err(error) = leftovers::adopt() {
        log.record(
            &processes::NO_ADOPTION,
            &format!("processes that applications fork may outlive the server: {error}"),
        );
    }
    let signals = Signals::new()?;
    let control = Channel::with_descriptors(control)?;
    let table = Table::map(table)?;
    table.header().supervisor.store(std::process::id(), Relaxed);
    // Sockets must be nobody else's from the moment they exist. Daemons get Apache's own mask back, or their group's.
    let apaches_umask = umask(Mode::RWXG | Mode::RWXO).bits();
    Supervisor::new(
        control,
        process::spawn::Shared { table, scoreboard, umask: apaches_umask, files: process::spawn::raise_files() },
        signals,
        log,
    )
    .run()
}
