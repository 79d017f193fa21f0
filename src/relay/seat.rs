//! A WebSocket's seat in a process, as the process's page counts it.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Acquire;

use wsgi_wire::table::{Counting, Slot};

use super::claim::Claim;

/// A WebSocket that a process has, or is asked for, while this lives.
#[derive(Debug)]
pub struct Seat {
    slot: Slot<'static>,
    serial: u32,
    counted: Counting,
}

impl Seat {
    /// Takes a seat in the process of a claim; `None` if `limit` are taken there already.
    pub fn take(claim: &Claim<'static>, limit: u32) -> Option<Self> {
        let counted = claim.slot.page.websockets.take(limit)?;
        Some(Self { slot: claim.slot, serial: claim.serial, counted })
    }

    /// Whether the process has ended, whoever holds its sockets: programs that it has forked may do so.
    pub fn process_has_ended(&self) -> bool {
        self.slot.entry.is_free() || self.slot.entry.serial.load(Acquire) != self.serial
    }

    /// Is counted again where all are counted anew.
    pub fn renew(&mut self) {
        if !self.process_has_ended() {
            self.counted = self.slot.page.websockets.renew(self.counted);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Another process in the slot counts from zero.
        if !self.process_has_ended() {
            self.slot.page.websockets.give_back(self.counted);
        }
    }
}
