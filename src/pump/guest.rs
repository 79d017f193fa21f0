//! A WebSocket on its way from its handler to the pump.

use wsgi_wire::table::Children;

use super::at::At;
use super::member::Member;
use super::places::{self, Place};
use super::thread;
use crate::httpd::suspended::{Successor, SuspendedConnection};
use crate::relay::connection::Connection;
use crate::relay::websocket::carrier::Carrier;

/// A WebSocket that was granted, and waits for its client's connection.
pub struct Guest {
    /// The connection to its process.
    pub connection: Connection,
    /// The state of it.
    pub carrier: Carrier,
    /// Its place among those of the child.
    pub place: Place,
    /// Where its application runs.
    pub at: At,
}

impl Successor for Guest {
    fn take_over(self: Box<Self>, client: SuspendedConnection) {
        let Self { connection, carrier, place, at } = *self;
        thread::adopt(Member::new((connection, carrier, place), at, client));
    }
}

/// Why a WebSocket has to stay with its thread, or cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// As many as there may be are taken.
    Full,
    /// There is no pump.
    NoPump,
}

/// Takes a place for a WebSocket, of so many that are counted among these children.
///
/// # Errors
/// [`NoPlace`]
pub fn reserve(children: Option<&'static Children>, limit: u32) -> Result<Place, NoPlace> {
    if !thread::is_running() {
        return Err(NoPlace::NoPump);
    }
    places::take(children, limit).ok_or(NoPlace::Full)
}
