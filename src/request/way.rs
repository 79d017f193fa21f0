//! The way of a request, or of a question about one, to a process of its group.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wsgi_wire::request::Facts;

use super::refused::Refused;
use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::httpd::response;
use crate::httpd::shared::SharedTable;
use crate::relay::admission::{Admission, Taken};
use crate::relay::client::Client;
use crate::relay::delivery::{Delivery, Dialogue, NotDelivered};
use crate::relay::outcome::Outcome;
use crate::relay::scratch::Scratch;

/// The value of `Retry-After` for a client whose request nobody had time for, seconds (RFC 9110 §10.2.3): long enough
/// not to add to an overload.
pub(super) const RETRY_AFTER: &[u8] = b"5";

/// The way to the processes of a group.
#[derive(Clone, Copy)]
pub struct Way<'w> {
    runtime: &'w Runtime,
    group: &'w Group,
    table: Option<SharedTable>,
    name: &'w [u8],
}

impl<'w> Way<'w> {
    /// The way to the processes of this group.
    pub fn new(runtime: &'w Runtime, group: &'w Group, name: &'w [u8]) -> Self {
        Self { runtime, group, table: runtime.table, name }
    }

    /// The process table, where there is one.
    pub fn table(&self) -> Option<SharedTable> {
        self.table
    }

    /// Turns the failure to deliver a request into what the client gets. The group's record counts it.
    pub fn refused(&self, error: &NotDelivered, r: &mut Request<'_>) -> Refused {
        if let Some(why) = error.refusal() {
            self.group.relay.record.refused(why);
        }
        if error.is_temporary() {
            response::add_error_header(r, b"Retry-After", RETRY_AFTER);
        }
        let reason = format!("{error} (process group `{}`)", String::from_utf8_lossy(self.name));
        Refused::new(error.message(), error.status(), reason)
    }

    /// Counts the request as one of the group's workers while the result lives.
    ///
    /// # Errors
    /// [`NotDelivered`]: there are too many of them.
    pub fn admission(&self) -> Result<[Admission<'_>; 2], NotDelivered> {
        let table = self.table.as_ref().ok_or(NotDelivered::NoProcess)?;
        let (own, all) = (self.group.workers_taken(), table.header().workers.of(self.group.generation));
        self.group.workers.wait(own, all).map_err(|taken| match taken {
            Taken::ByGroup => NotDelivered::WorkersTaken,
            Taken::ByAll => NotDelivered::AllWorkersTaken,
        })
    }

    /// Has a process of the group do what `encode` appends; the route is in `scratch`.
    ///
    /// # Errors
    /// [`NotDelivered`]: no process has taken it.
    pub fn deliver<C: Client>(
        &self,
        scratch: &mut Scratch,
        client: &mut C,
        facts: Facts,
        dialogue: Dialogue,
        encode: impl Fn(&mut Vec<u8>, &Facts, &[u8], &mut C),
    ) -> Result<Outcome, NotDelivered> {
        let table = self.table.ok_or(NotDelivered::NoProcess)?;
        let slots = || table.slots(self.group.pages);
        let sockets = &self.runtime.sockets;
        Delivery { slots, sockets, group: &self.group.relay, scratch, client, dialogue, encode }.run(facts)
    }

    /// Counts an answer that the client has got in the group's record.
    pub fn answered(&self, status: u16, after: Duration) {
        self.group.relay.record.answered(status, after);
    }
}

/// The current time as [`Facts`] have it, microseconds.
pub fn now_in_microseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
