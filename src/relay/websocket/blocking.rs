//! The thread that a WebSocket has for itself, where it cannot do without.
#![forbid(unsafe_code)]

use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use wsgi_unix::stop;

use super::carrier::{Carrier, LOOK, Memory, Seen, Turn, Wants};
use crate::relay::connection::Connection;
use crate::relay::outcome::End;
use crate::relay::peer::Peer;
use crate::relay::timespec::timespec;

/// Carries a WebSocket to its end, on the calling thread.
pub fn carry(connection: &Connection, carrier: &mut Carrier, client: &mut impl Peer) -> End {
    // A stop ends the waits for the process; one that has come before is seen in any case.
    let _watched = stop::watch(&connection.stream);
    let (mut memory, mut seen) = (Memory::default(), Seen::default());
    loop {
        seen = match carrier.turn(connection, client, seen, &mut memory) {
            Turn::Over(end) => return end,
            Turn::Again => Seen::default(),
            Turn::Wait => {
                carrier.seat().renew();
                wait(connection, client, carrier.wants(client))
            }
        };
    }
}

/// Waits for whoever has something to say, or takes something; not for long.
fn wait(connection: &Connection, client: &impl Peer, wants: Wants) -> Seen {
    let left = |until: Instant| until.saturating_duration_since(Instant::now());
    let wait = wants.until.map_or(LOOK, |until| left(until).min(LOOK));
    let Some(client) = client.socket() else { return Seen { client: true, process: true } };
    let mut watched = [PollFd::new(&client, wants.client), PollFd::new(&connection.stream, wants.process)];
    let first = usize::from(wants.client.is_empty());
    let last = 2 - usize::from(wants.process.is_empty());
    if poll(watched.get_mut(first..last).unwrap_or_default(), Some(&timespec(wait))).is_err() {
        return Seen::default();
    }
    let [client, process] = watched.map(|one| one.revents());
    let other = PollFlags::OUT.complement();
    Seen { client: client.intersects(other), process: process.intersects(other) }
}
