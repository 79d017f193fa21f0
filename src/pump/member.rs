//! A WebSocket that the pump has, from the moment at which httpd's thread has left it until its connection is closed.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use wsgi_unix::descriptor::BorrowedFd;
use wsgi_unix::{panics, stop};
use wsgi_websocket::close;
use wsgi_wire::messages::{Topic, requests};
use wsgi_wire::record::LogRecord;

use super::at::At;
use super::places::Place;
use crate::httpd::log;
use crate::httpd::suspended::SuspendedConnection;
use crate::relay::connection::Connection;
use crate::relay::outcome::End;
use crate::relay::peer::{Gone, Peer, RequestContext};
use crate::relay::websocket::carrier::{Carrier, Memory, Seen, Turn, Wants};

/// How long a client has to close its side when the other one is closed.
const CLOSING: Duration = Duration::from_secs(2);

/// So many turns between two looks are those of a WebSocket that is in use, and not of pings.
const IN_USE: u32 = 8;

/// The client of a WebSocket.
struct Client {
    connection: SuspendedConnection,
    at: At,
}

impl RequestContext for Client {
    fn log_cost(&self, record: &LogRecord) -> usize {
        let names = self.connection.look(|r| log::names(r, self.at.execution()));
        record.cost(names.unwrap_or(0))
    }

    fn log(&mut self, record: &LogRecord) {
        // One that has ended has nothing to say.
        let _ = self.connection.look(|r| log::record(r, record, Some(self.at.execution())));
    }
}

impl Peer for Client {
    fn is_gone(&self) -> bool {
        self.connection.is_aborted()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.connection.socket())
    }

    fn send_timeout(&self) -> Option<Duration> {
        self.connection.send_timeout()
    }

    fn receive_bytes(&mut self, out: &mut Vec<u8>) -> Result<bool, Gone> {
        self.connection.receive(out)
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        self.connection.send(bytes)
    }

    fn holds_bytes(&self) -> bool {
        self.connection.holds()
    }
}

/// How far it is.
enum Stage {
    Open(Box<(Connection, Carrier, Place)>),
    /// The WebSocket has ended; its client has until this moment to close the connection.
    Ended(Instant),
}

/// A WebSocket that the pump has.
pub struct Member {
    client: Client,
    stage: Stage,
    /// What is waited for at the client's socket, and at the process's.
    pub watched: [PollFlags; 2],
    /// The moment for which a timer is set.
    pub timer: Option<Instant>,
    /// How many turns it has had since it was looked after.
    turns: u32,
    /// Whether its buffers are kept.
    is_in_use: bool,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It has more to do at once.
    Again,
    /// It has nothing to do but to wait.
    Wait,
    /// Its process has ended, and it has; it waits for its client.
    Lost(u32),
    /// Nothing is left but to destroy it.
    Done,
}

impl Member {
    /// Makes a member of what carries it, and its client's connection.
    pub fn new(open: (Connection, Carrier, Place), at: At, connection: SuspendedConnection) -> Self {
        let client = Client { connection, at };
        let stage = Stage::Open(Box::new(open));
        Self { client, stage, watched: [PollFlags::empty(); 2], timer: None, turns: 0, is_in_use: false }
    }

    /// The sockets of the client and of the process.
    pub fn sockets(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let process = match &self.stage {
            Stage::Open(open) => Some(std::os::fd::AsFd::as_fd(&open.0.stream)),
            Stage::Ended(_) => None,
        };
        [Some(self.client.connection.socket()), process]
    }

    /// The number of the server that has the request, while that lasts.
    pub fn server(&self) -> Option<usize> {
        self.client.connection.look(|r| r.server().id())
    }

    /// Does what can be done at once.
    pub fn turn(&mut self, seen: Seen, memory: &mut Memory) -> Next {
        let Self { client, stage, turns, is_in_use, .. } = self;
        let open = match stage {
            Stage::Open(open) => open,
            Stage::Ended(until) => {
                let now = Instant::now();
                let waits = now < *until && !client.connection.is_aborted() && !stop::has_begun();
                let waits = waits && client.connection.drop_rest();
                if !waits {
                    // Its end would be told again and again.
                    *until = now.min(*until);
                }
                return if waits || !client.connection.is_settled(now) { Next::Wait } else { Next::Done };
            }
        };
        *turns = turns.saturating_add(1);
        if *turns == IN_USE && !*is_in_use {
            *is_in_use = true;
            client.connection.keep_buffers(true);
        }
        let (wire, carrier, _) = &mut **open;
        let turn = panics::catch("the turn of a WebSocket", || carrier.turn(wire, client, seen, memory));
        let process = carrier.process();
        match turn {
            Some(Turn::Again) => Next::Again,
            Some(Turn::Wait) => Next::Wait,
            Some(Turn::Over(end)) => {
                self.has_ended(end);
                self.end();
                if end == End::ProcessLost { Next::Lost(process) } else { Next::Again }
            }
            None => {
                // What has been said of it is not known.
                *memory = Memory::default();
                self.client.connection.break_off();
                self.end();
                Next::Again
            }
        }
    }

    /// Says why it has ended, where that was no close; a lost process is told of by the pump.
    fn has_ended(&mut self, end: End) {
        match end {
            End::Closed | End::Stopped | End::ProcessLost => {}
            End::Breach(breach) => {
                // It has not ended yet.
                let _ = self.client.connection.look(|r| {
                    log::request(r, Topic::INFO, format_args!("a client breaks the WebSocket protocol: {breach}"));
                });
            }
            End::Violated(violation) => self.client.tell(
                &requests::WEBSOCKET_REFUSED,
                &format!("the WebSocket ends, because what the daemon process sends is refused: {violation}"),
            ),
        }
    }

    /// Ends it on both sides, and its request.
    fn end(&mut self) {
        let time = if self.client.connection.is_aborted() { Duration::ZERO } else { CLOSING };
        let open = std::mem::replace(&mut self.stage, Stage::Ended(Instant::now() + time));
        let code = match &open {
            Stage::Open(open) => open.1.code(),
            Stage::Ended(_) => close::LOST,
        };
        drop(open);
        self.client.connection.end(code);
    }

    /// What has to be waited for.
    pub fn wants(&self) -> Wants {
        match &self.stage {
            Stage::Open(open) => open.1.wants(&self.client),
            Stage::Ended(until) => {
                let is_late = Instant::now() >= *until;
                let settles = self.client.connection.settles();
                Wants {
                    client: if is_late { PollFlags::empty() } else { PollFlags::IN },
                    process: PollFlags::empty(),
                    until: Some((*until).max(settles)),
                }
            }
        }
    }

    /// Once in a while: is counted where all are counted anew, and gives back what it does not use. Returns whether its
    /// process has ended.
    pub fn look(&mut self) -> bool {
        let Stage::Open(open) = &mut self.stage else { return false };
        if std::mem::take(&mut self.turns) == 0 && self.is_in_use {
            self.is_in_use = false;
            self.client.connection.keep_buffers(false);
        }
        let seat = open.1.seat();
        seat.renew();
        seat.process_has_ended()
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Closes the connection.
    pub fn destroy(self) {
        self.client.connection.destroy();
    }
}
