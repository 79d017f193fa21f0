//! A request's way to the process that executes it: tries processes until one has taken it, and never a second one after that.
#![forbid(unsafe_code)]

use std::io;
use std::time::Instant;

use wsgi_wire::codec::Malformed;
use wsgi_wire::request::Facts;
use wsgi_wire::response::Reject;
use wsgi_wire::table::{self, Refusal};

use super::Client;
use super::choice::{Claim, Now, Patience, Place, Pool};
use super::connection::{BeginError, Connection};
use super::conversation::{Conversation, Outcome};
use super::inbox::Inbox;
use crate::daemons::{Group, Runtime};

/// Why no process has executed a request.
#[derive(Debug, thiserror::Error)]
pub enum Undelivered {
    /// None is there.
    #[error("no process of the group is running; the error log tells why they do not start")]
    NoProcess,
    /// None has become ready in time.
    #[error("no process of the group has become ready within connect-timeout")]
    NotReady,
    /// Those that are there cannot be reached.
    #[error("cannot connect to the processes of the group: {0}")]
    Unreachable(io::Error),
    /// The process had it in its queue for too long.
    #[error("the request has waited for a thread longer than queue-timeout allows")]
    QueueTimeout,
    /// Its headers are too large for the protocol.
    #[error("the request's headers do not fit into a frame")]
    TooLong,
}

impl Undelivered {
    /// What the client gets.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoProcess | Self::NotReady | Self::Unreachable(_) => 503,
            Self::QueueTimeout => 504,
            Self::TooLong => 500,
        }
    }

    /// As what the process table counts it; a request that is wrong itself is not the group's affair.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NoProcess => Some(Refusal::NoProcess),
            Self::NotReady => Some(Refusal::NotReady),
            Self::Unreachable(_) => Some(Refusal::Unreachable),
            Self::QueueTimeout => Some(Refusal::QueueTimeout),
            Self::TooLong => None,
        }
    }
}

/// Memory that a thread uses again for each of its requests.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The content of the request's route.
    pub route: Vec<u8>,
    /// A request body that travels inline.
    pub body: Vec<u8>,
    message: Vec<u8>,
    inbox: Inbox,
}

impl Scratch {
    /// Forgets one request; keeps the memory for the next one.
    pub fn clear(&mut self) {
        self.route.clear();
        self.body.clear();
        self.message.clear();
        self.inbox.clear();
    }
}

/// A request on its way.
pub struct Delivery<'d, C, E> {
    /// The configuration in force.
    pub runtime: &'d Runtime,
    /// The group whose processes may execute it.
    pub group: &'d Group,
    /// Its memory; the route is in there.
    pub scratch: &'d mut Scratch,
    /// The client.
    pub client: &'d mut C,
    /// Appends the request's frame for these facts; called again for each try. The body is what [`Scratch::body`] holds.
    pub encode: E,
}

impl<C, E> Delivery<'_, C, E>
where
    C: Client,
    E: Fn(&mut Vec<u8>, &Facts, &[u8], &mut C) -> Result<(), Malformed>,
{
    /// Tries processes until one has taken the request.
    ///
    /// # Errors
    /// [`Undelivered`]; nothing has executed it then.
    pub fn run(&mut self, mut facts: Facts) -> Result<Outcome, Undelivered> {
        let Some(table) = self.runtime.table else { return Err(Undelivered::NoProcess) };
        let (group, queue) = (self.group.key, &self.group.record.queue);
        let mut patience = Patience::new(Instant::now(), self.group.connect_timeout);
        let mut place: Option<Place<'_>> = None;
        let mut avoid: Vec<(usize, u32)> = Vec::new();
        let mut unreachable = None;
        loop {
            // Made anew for each look: the table grows.
            let pool = Pool { slots: table.slots(), group, queue };
            let claim = match pool.look(&avoid, patience.is_patient()) {
                Now::Process(claim) => claim,
                found => {
                    let Some(pause) = patience.pause(Instant::now(), &found) else {
                        return Err(unreachable.map_or_else(|| why(&found), Undelivered::Unreachable));
                    };
                    match &mut place {
                        Some(place) => place.wait(pause),
                        None => place = Some(Place::take(queue)),
                    }
                    continue;
                }
            };
            if place.take().is_some() {
                self.group.record.waits.add(patience.waited(Instant::now()));
            }
            facts.connects = facts.connects.saturating_add(1);
            match self.try_process(&claim, &mut facts)? {
                Ok(Outcome::Rejected(Reject::QueueTimeout)) => return Err(Undelivered::QueueTimeout),
                Ok(Outcome::Rejected(why)) => {
                    facts.rejects = facts.rejects.saturating_add(1);
                    // Its slot says so by now, and will say when the process takes requests after all.
                    if why == Reject::ScriptChanged {
                        continue;
                    }
                }
                Ok(Outcome::NotExecuted) => {}
                Ok(outcome) => return Ok(outcome),
                Err(error) => unreachable = Some(error),
            }
            avoid.push((claim.index, claim.serial));
        }
    }

    /// One try with one process: an idle connection first, then a new one. The inner error is that of a connection that cannot be made.
    fn try_process(&mut self, claim: &Claim<'_>, facts: &mut Facts) -> Result<Result<Outcome, io::Error>, Undelivered> {
        while let Some(connection) = self.runtime.idle.take(claim.index, claim.serial) {
            match self.converse(connection, claim, facts) {
                // The process may have closed a connection that was idle, and be alive.
                Ok(Outcome::NotExecuted) | Err(BeginError::RoutesExhausted) => {}
                Ok(outcome) => return Ok(Ok(outcome)),
                Err(BeginError::TooLong) => return Err(Undelivered::TooLong),
            }
        }
        let connection = match self.connect(claim) {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        self.converse(connection, claim, facts).map(Ok).map_err(|_| Undelivered::TooLong)
    }

    fn connect(&self, claim: &Claim<'_>) -> io::Result<Connection> {
        let runtime = self.runtime;
        let path = table::socket_path(&runtime.socket_prefix, runtime.parent, claim.index, claim.serial);
        Connection::open(&path, claim.serial, claim.secret, self.group.socket_timeout, self.group.buffers)
    }

    /// The conversation on one connection, which is kept if it can carry another request.
    fn converse(
        &mut self,
        mut connection: Connection,
        claim: &Claim<'_>,
        facts: &mut Facts,
    ) -> Result<Outcome, BeginError> {
        let Scratch { route, body, message, inbox } = &mut *self.scratch;
        message.clear();
        inbox.clear();
        facts.route = connection.begin(route, message)?;
        (self.encode)(message, facts, body, self.client)?;
        let outcome = Conversation::new(&mut connection, inbox, self.client, self.group.flush_delay).run(message);
        if outcome.leaves_connection_usable() && inbox.is_empty() {
            self.runtime.idle.put(claim.index, connection);
        }
        Ok(outcome)
    }
}

fn why(found: &Now<'_>) -> Undelivered {
    if matches!(found, Now::Nothing) { Undelivered::NoProcess } else { Undelivered::NotReady }
}
