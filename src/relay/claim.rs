//! A process that a request has been given to, as the process table counts it.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use wsgi_wire::table::{self, Queue, Slot};

use super::queue::call_first;

/// A process that takes the request. While this lives, the request counts as in flight there.
#[derive(Debug)]
pub struct Claim<'t> {
    pub(super) slot: Slot<'t>,
    pub(super) queue: &'t Queue,
    /// The index of the process's slot.
    pub index: usize,
    /// The number of the process among those that the slot has had.
    pub serial: u32,
    /// The secret that a connection must begin with.
    pub secret: u64,
    pub(super) answered: Cell<bool>,
    pub(super) done: Cell<bool>,
}

impl Claim<'_> {
    /// The process's id, as the supervisor knows it.
    pub fn pid(&self) -> u32 {
        self.slot.entry.pid.load(Relaxed)
    }

    /// Whether the process has ended, whoever holds its sockets: programs that it has forked may do so.
    pub fn has_ended(&self) -> bool {
        self.slot.entry.is_free() || self.slot.entry.serial.load(Acquire) != self.serial
    }

    /// Notes that the answer begins, or will not come.
    pub fn answered(&self) {
        if !self.answered.replace(true) {
            table::answered(self.slot, self.serial);
        }
    }

    /// Notes that the process has done its part, whatever time the client takes for what is still to be sent: the
    /// request does not count any more.
    pub fn done(&self) {
        if self.done.replace(true) {
            return;
        }
        self.answered();
        table::release(self.slot, self.serial);
        if self.queue.is_used() {
            call_first(self.queue);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.done();
    }
}
