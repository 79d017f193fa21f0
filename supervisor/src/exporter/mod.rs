//! The exporter: a process of its own, of Apache's user, which the supervisor starts where `WSGIOpenTelemetry` names a
//! collector. It receives what Apache's children and the supervisor send ([`wsgi_wire::export`]), and posts that to the
//! collector. Nobody waits for it: what it has no room for is lost, and counted.
//!
//! Knows OTLP and HTTP. Must not know processes, nor have any right.

mod http;
mod otlp;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, recv};
use wsgi_wire::codec::Wire;
use wsgi_wire::export::{Datagram, Exporter, Figures, Span};
use wsgi_wire::limits::{EXPORTED, SPANS};
use wsgi_wire::messages::processes;

use crate::log::Log;
use crate::outbox::Style;
use crate::sys::descriptors::inherit_told;

/// How long a span waits for others, to be sent together with them.
const TOGETHER: Duration = Duration::from_secs(1);

/// How many spans one report has at the most: a collector needs about a thousandth of a second for them.
const BATCH: usize = 512;

/// How long the collector may take for a report, and for the last one at the end of the server.
const TIME: Duration = Duration::from_secs(5);
const TIME_AT_THE_END: Duration = Duration::from_millis(500);

/// The spans and figures that wait for the collector.
#[derive(Debug)]
struct Waiting {
    spans: Vec<Span>,
    /// When the first of these spans came.
    since: Option<Instant>,
    figures: Vec<Figures>,
    /// How many spans have been lost.
    lost: u64,
}

impl Waiting {
    fn take(&mut self, told: Datagram) {
        match told {
            Datagram::Figures(figures) => {
                // A later report says all that an earlier one does.
                self.figures.retain(|known| known.group.name != figures.group.name);
                self.figures.push(figures);
            }
            Datagram::Span(span) => {
                self.lost += u64::from(span.lost);
                if self.spans.len() < SPANS {
                    self.spans.push(span);
                    self.since.get_or_insert_with(Instant::now);
                } else {
                    self.lost += 1;
                }
            }
        }
    }

    /// The moment at which spans are to be sent.
    fn due(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.spans.len() >= BATCH { since } else { since + TOGETHER })
    }
}

/// Runs the exporter's program; `words` are the arguments behind its name and [`wsgi_wire::export::EXPORTER`].
pub fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let log = Log::provisional();
    let Some(exporter) = Exporter::read(words) else {
        let text = "the supervisor of the daemon processes cannot go on: it was asked for an exporter, and not told of what; it is started by the Apache module only";
        log.record(&processes::SUPERVISOR_FAILED, text);
        return ExitCode::FAILURE;
    };
    let log = Log { style: Style { format: exporter.format, vhost: Vec::new() }, ..log };
    match inherit_told().and_then(|socket| Loop::new(socket, exporter, log).run()) {
        Ok(()) => ExitCode::SUCCESS,
        // The supervisor says that it has ended.
        Err(_) => ExitCode::FAILURE,
    }
}

/// The loop of the exporter: takes what the supervisor sends, and has it exported when it is time.
struct Loop {
    socket: OwnedFd,
    exporter: Exporter,
    log: Log,
    waiting: Waiting,
    buffer: Vec<u8>,
    /// Whether the collector has not taken the last report.
    failing: bool,
}

impl Loop {
    fn new(socket: OwnedFd, exporter: Exporter, log: Log) -> Self {
        let waiting = Waiting { spans: Vec::new(), since: None, figures: Vec::new(), lost: 0 };
        Self { socket, exporter, log, waiting, buffer: vec![0; EXPORTED], failing: false }
    }

    /// Runs until the supervisor closes the pipe that is standard input.
    fn run(mut self) -> io::Result<()> {
        loop {
            let ended = self.wait()?;
            self.hear()?;
            if ended {
                while !self.waiting.spans.is_empty() || !self.waiting.figures.is_empty() {
                    if !self.report(TIME_AT_THE_END) {
                        break;
                    }
                }
                return Ok(());
            }
            let due = self.waiting.due().is_some_and(|due| due <= Instant::now());
            if due || !self.waiting.figures.is_empty() {
                self.report(TIME);
            }
        }
    }

    /// Waits for a datagram. Returns whether the supervisor is gone.
    fn wait(&self) -> io::Result<bool> {
        let stdin = io::stdin();
        let ways = [self.socket.as_fd(), stdin.as_fd()];
        let mut fds = ways.map(|way| PollFd::from_borrowed_fd(way, PollFlags::IN));
        let left = self.waiting.due().map(|due| due.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(!fds[1].revents().is_empty()),
            Err(error) => Err(error.into()),
        }
    }

    /// Receives all datagrams that are there.
    fn hear(&mut self) -> io::Result<()> {
        // Not for ever, though others may tell as fast as it hears.
        for _ in 0..SPANS {
            match retry_on_intr(|| recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT)) {
                // What is not understood comes from a module of another version, which is being replaced.
                Ok((_, length)) => {
                    let told = self.buffer.get(..length).and_then(|told| Datagram::from_bytes(told).ok());
                    told.into_iter().for_each(|told| self.waiting.take(told));
                }
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Posts what waits, spans up to a batch. Returns whether the collector takes it.
    fn report(&mut self, time: Duration) -> bool {
        let count = self.waiting.spans.len().min(BATCH);
        let spans: Vec<Span> = self.waiting.spans.drain(..count).collect();
        self.waiting.since = (!self.waiting.spans.is_empty()).then(Instant::now);
        let figures = std::mem::take(&mut self.waiting.figures);
        let resource = &self.exporter.export.resource;
        let mut outcome = Ok(());
        if !spans.is_empty() {
            outcome = self.post("traces", &otlp::traces(resource, &spans), time);
            if outcome.is_err() {
                self.waiting.lost += spans.len() as u64;
            }
        }
        if !figures.is_empty() && outcome.is_ok() {
            outcome = self.post("metrics", &otlp::metrics(resource, &figures, self.waiting.lost), time);
        }
        self.note(outcome)
    }

    fn post(&self, what: &str, body: &str, time: Duration) -> Result<(), http::PostError> {
        let export = &self.exporter.export;
        http::post(&export.authority, &format!("{}/v1/{what}", export.path), body, time)
    }

    /// Logs once that the collector takes nothing, and once that it does again.
    fn note(&mut self, outcome: Result<(), http::PostError>) -> bool {
        let collector = &self.exporter.export.authority;
        match &outcome {
            Err(error) if !self.failing => self.log.record(
                &processes::NO_COLLECTOR,
                &format!("the collector of WSGIOpenTelemetry, {collector}, takes nothing: {error}; what is told is lost until it does"),
            ),
            Ok(()) if self.failing => {
                let lost = self.waiting.lost;
                self.log.info(&format!("the collector {collector} takes what is told again; {lost} spans were lost"));
            }
            _ => {}
        }
        self.failing = outcome.is_err();
        !self.failing
    }
}
