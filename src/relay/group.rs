//! A process group, and the way to its processes, as a request on its way sees them.
#![forbid(unsafe_code)]

use std::time::Duration;

use wsgi_websocket::session::Settings;
use wsgi_wire::budget::Rate;
use wsgi_wire::table;

use super::idle::IdleConnections;
use super::wait_limits::WaitLimits;

/// What the relay needs to know of a process group.
#[derive(Debug)]
pub struct Group {
    /// The key of the group in the process table.
    pub key: u64,
    /// The record of the group in the process table.
    pub record: &'static table::Group,
    /// `connect-timeout`, `queue-timeout`, and `socket-timeout` or Apache's `Timeout`: how long a request waits for a
    /// process.
    pub wait_limits: WaitLimits,
    /// `queue-size`: how many requests may wait.
    pub queue_size: u32,
    /// The value of `response-flush-delay`.
    pub flush_delay: Duration,
    /// `send-buffer-size` and `receive-buffer-size`, bytes; 0 is the system's own.
    pub buffers: (u32, u32),
    /// How much the requests of the group may log.
    pub log: Rate,
    /// `ws-max-size`, `ws-ping-interval`, `ws-ping-timeout` and `ws-per-message-deflate`.
    pub websocket: Settings,
    /// `limit-websockets`: how many each of the processes has at the most.
    pub websocket_limit: u32,
}

/// How the processes of a configuration are reached.
#[derive(Debug)]
pub struct Sockets {
    /// `WSGISocketPrefix`, an absolute path.
    pub prefix: String,
    /// The Apache parent's pid.
    pub parent: u32,
    /// Connections that wait for their next request.
    pub idle: IdleConnections,
}
