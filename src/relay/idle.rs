//! Connections of this Apache child that wait for their next request, by slot.
#![forbid(unsafe_code)]

use std::sync::{Mutex, PoisonError};

use wsgi_wire::table::SLOTS;

use super::connection::Connection;

/// One stack for each slot: the connection used last is used next, so that few stay warm.
#[derive(Debug)]
pub struct IdleConnections {
    slots: Box<[Mutex<Vec<Connection>>]>,
}

impl Default for IdleConnections {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::new(Vec::new())).collect() }
    }
}

impl IdleConnections {
    /// A connection to the process `serial` of a slot. Those to its predecessors are closed.
    pub fn take(&self, slot: usize, serial: u32) -> Option<Connection> {
        let mut stack = self.slots.get(slot)?.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = stack.pop() {
            if connection.serial == serial {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose response is over.
    pub fn put(&self, slot: usize, connection: Connection) {
        if let Some(stack) = self.slots.get(slot) {
            stack.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn connections_to_a_process_that_is_gone_are_dropped() {
        let idle = IdleConnections::default();
        let connection = |serial| Connection::over(UnixStream::pair().unwrap().0, serial, 0);
        idle.put(3, connection(2));
        idle.put(3, connection(1));
        assert_eq!(idle.take(3, 2).map(|c| c.serial), Some(2));
        assert!(idle.take(3, 2).is_none() && idle.take(3, 1).is_none());
        assert!(idle.take(SLOTS, 1).is_none());
    }
}
