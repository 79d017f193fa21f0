//! The thread that a WebSocket has for itself, where it cannot do without.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use wsgi_unix::stop;
use wsgi_unix::timespec::timespec;

use super::carrier::{Carrier, LOOK, Memory, Seen, Turn, Wants};
use crate::relay::connection::Connection;
use crate::relay::outcome::End;
use crate::relay::peer::Peer;

/// How often it is looked for what a client has sent where nobody can tell when it comes.
const UNSEEN: Duration = Duration::from_millis(10);

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
    let process = PollFd::new(&connection.stream, wants.process);
    let other = PollFlags::OUT.complement();
    let Some(client) = client.watched() else {
        let mut watched = [process];
        let seen = poll(&mut watched, Some(&timespec(wait.min(UNSEEN)))).is_ok();
        return Seen { client: true, process: seen && watched[0].revents().intersects(other) };
    };
    let mut watched = [PollFd::new(&client, wants.client), process];
    let first = usize::from(wants.client.is_empty());
    let last = 2 - usize::from(wants.process.is_empty());
    if poll(watched.get_mut(first..last).unwrap_or_default(), Some(&timespec(wait))).is_err() {
        return Seen::default();
    }
    let [client, process] = watched.map(|one| one.revents());
    Seen { client: client.intersects(other), process: process.intersects(other) }
}
