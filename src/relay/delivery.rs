//! A request's way to the process that executes it: tries processes until one has taken it, and never a second one
//! after that.
#![forbid(unsafe_code)]

use std::io;
use std::path::Path;
use std::time::Instant;

use wsgi_unix::{panics, stop};
use wsgi_websocket::session::Settings;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::messages::{Message, internal, requests};
use wsgi_wire::request::Facts;
use wsgi_wire::response::Reject;
use wsgi_wire::table::{self, Refusal, Slot};

use super::choice::{Look, Pool};
use super::claim::Claim;
use super::client::{Client, SendError, Then};
use super::connection::{BeginError, Connection};
use super::conversation::{Conversation, ConversationLimits, LOOK};
use super::group::{Group, Sockets};
use super::outcome::Outcome;
use super::outflow::Outflow;
use super::queue::QueueTicket;
use super::records::Source;
use super::scratch::Scratch;
use super::seat::Seat;
use super::unreachable;
use super::wait_limits::{Expired, Missing, Wait};
use super::websocket::blocking;
use super::websocket::carrier::Carrier;

/// Why no process has executed a request.
#[derive(Debug, thiserror::Error)]
pub enum NotDelivered {
    /// The group has no process.
    #[error("no process of the group is running; the error log tells why they do not start")]
    NoProcess,
    /// All processes that were started have failed before they were ready.
    #[error("the processes of the group fail when they start; earlier records in the error logs tell why")]
    Failing,
    /// No process has become ready in time.
    #[error("no process of the group has become ready within socket-timeout")]
    NotReady,
    /// The processes cannot be reached.
    #[error("cannot connect to the processes of the group: {0}")]
    Unreachable(io::Error),
    /// No thread has taken the request in time.
    #[error("the request has waited for a thread longer than queue-timeout allows")]
    QueueTimeout,
    /// No thread has got free for as long as a process may be silent.
    #[error("the request has waited for a thread longer than socket-timeout allows")]
    Silence,
    /// Too many requests of the group wait already.
    #[error("as many requests wait for a thread as queue-size allows")]
    QueueFull,
    /// The requests of the group have too many of Apache's workers already.
    #[error("requests of the group keep as many of Apache's workers as worker-limit allows")]
    WorkersTaken,
    /// The requests of all groups together have too many of Apache's workers already.
    #[error(
        "requests of all process groups keep as many of Apache's workers as they may together without a worker-limit"
    )]
    AllWorkersTaken,
    /// The Apache child stops, and not gracefully.
    #[error("Apache stops")]
    Stopping,
    /// All processes have as many WebSockets as they may have.
    #[error("the processes of the group have as many WebSockets as limit-websockets allows")]
    WebSocketsFull,
    /// Apache cannot hold more WebSockets.
    #[error(
        "Apache has as many WebSockets as its threads and AsyncRequestWorkerFactor allow without keeping others out"
    )]
    ApacheFull,
    /// The headers of the request are too large for the protocol.
    #[error("the request's headers do not fit into a frame")]
    TooLong,
}

impl NotDelivered {
    /// Which message the log gets.
    pub fn message(&self) -> &'static Message {
        match self {
            Self::NoProcess => &requests::NO_PROCESS,
            Self::Failing => &requests::PROCESSES_FAIL,
            Self::NotReady => &requests::NOT_READY,
            Self::Unreachable(_) => &requests::UNREACHABLE,
            Self::QueueTimeout => &requests::QUEUE_TIMEOUT,
            Self::Silence => &requests::QUEUE_SILENCE,
            Self::QueueFull => &requests::QUEUE_FULL,
            Self::WorkersTaken => &requests::WORKERS_TAKEN,
            Self::AllWorkersTaken => &requests::ALL_WORKERS_TAKEN,
            Self::Stopping => &requests::STOPPING,
            Self::WebSocketsFull => &requests::WEBSOCKETS_FULL,
            Self::ApacheFull => &requests::APACHE_FULL,
            Self::TooLong => &requests::HEADERS_TOO_LONG,
        }
    }

    /// The status that the client gets.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoProcess | Self::NotReady | Self::Unreachable(_) => 503,
            Self::QueueFull | Self::WorkersTaken | Self::AllWorkersTaken | Self::Stopping => 503,
            Self::WebSocketsFull | Self::ApacheFull => 503,
            Self::QueueTimeout | Self::Silence => 504,
            Self::Failing | Self::TooLong => 500,
        }
    }

    /// Whether the cause may be gone in a moment, so that the client should ask again.
    pub fn is_temporary(&self) -> bool {
        self.status() != 500
    }

    /// The reason by which the process table counts it. `None` for a request that is wrong itself, and for a stop:
    /// those are not the group's affair.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NoProcess | Self::Failing => Some(Refusal::NoProcess),
            Self::NotReady => Some(Refusal::NotReady),
            Self::Unreachable(_) => Some(Refusal::Unreachable),
            Self::QueueTimeout | Self::Silence => Some(Refusal::QueueTimeout),
            Self::QueueFull => Some(Refusal::QueueFull),
            Self::WorkersTaken | Self::AllWorkersTaken => Some(Refusal::WorkersTaken),
            Self::WebSocketsFull | Self::ApacheFull => Some(Refusal::WebSockets),
            Self::Stopping | Self::TooLong => None,
        }
    }
}
/// How client and process speak in the course of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialogue {
    /// One after the other.
    InTurns,
    /// Both at any time, as in ASGI.
    Duplex,
    /// As [`Self::Duplex`], where a WebSocket is asked for.
    WebSocket,
}

/// A request that is to be executed by some process of a group.
pub struct Delivery<'d, C, E, S> {
    /// Gives all slots of the process table. Called anew for each look, because the table grows.
    pub slots: S,
    /// The addresses of the processes' sockets, and the idle connections to them.
    pub sockets: &'d Sockets,
    /// The group whose processes may execute it.
    pub group: &'d Group,
    /// The thread's memory, with the route in it.
    pub scratch: &'d mut Scratch,
    /// The client of the request.
    pub client: &'d mut C,
    /// How the two sides speak.
    pub dialogue: Dialogue,
    /// Appends the payload of the request's frame for these facts; called again for each try. The body is what
    /// [`Scratch::body`] holds.
    pub encode: E,
}

impl<C, E, S, I> Delivery<'_, C, E, S>
where
    C: Client,
    E: Fn(&mut Vec<u8>, &Facts, &[u8], &mut C),
    S: Fn() -> I,
    I: Iterator<Item = Slot<'static>> + Clone,
{
    /// Tries processes until one has taken the request.
    ///
    /// # Errors
    /// [`NotDelivered`]; no process has executed it then.
    pub fn run(&mut self, mut facts: Facts) -> Result<Outcome, NotDelivered> {
        let record = self.group.record;
        let mut wait = Wait::new(Instant::now(), self.group.wait_limits);
        let mut place: Option<QueueTicket<'_>> = None;
        let mut avoid: Vec<(usize, u32)> = Vec::new();
        let (mut unreachable, mut outflow) = (None, Outflow::default());
        loop {
            if stop::has_begun() {
                return Err(NotDelivered::Stopping);
            }
            let Group { key, queue_size, .. } = *self.group;
            let pool = Pool {
                slots: (self.slots)(),
                group: key,
                record,
                room: queue_size,
                evenly: self.dialogue == Dialogue::WebSocket,
            };
            let missing = match pool.look(&avoid, wait.is_trusting(), place.as_ref()) {
                Look::Process(claim) => {
                    panics::point("request: claimed");
                    let mut seat = None;
                    if self.dialogue == Dialogue::WebSocket {
                        let limit = self.group.websocket_limit;
                        seat = Some(Seat::take(&claim, limit).ok_or(NotDelivered::WebSocketsFull)?);
                    }
                    facts.connects = facts.connects.saturating_add(1);
                    let waited = place.take().is_some();
                    if waited {
                        record.waits.add(wait.waited(Instant::now()));
                    }
                    match self.try_process(&claim, seat, &mut facts, wait.queue_deadline(), &mut outflow)? {
                        Ok(Outcome::Rejected(Reject::QueueTimeout) | Outcome::Unread) => {
                            return Err(NotDelivered::QueueTimeout);
                        }
                        Ok(Outcome::Rejected(why)) => {
                            facts.rejects = facts.rejects.saturating_add(1);
                            // Its slot says so by now, and will say when the process takes requests after all. Whoever
                            // speaks in its name has to be waited for no longer than the process itself.
                            if why == Reject::ScriptChanged {
                                self.wait(&mut wait, &mut place, Missing::Ready, &mut unreachable)?;
                                continue;
                            }
                        }
                        Ok(Outcome::NotExecuted) => {}
                        Ok(outcome) => return Ok(self.send_rest(outflow, outcome)),
                        Err(error) => {
                            let is_full = error.kind() == io::ErrorKind::WouldBlock;
                            unreachable = Some(error);
                            if is_full {
                                // Its `listen-backlog`: it is alive, and takes connections again when a thread is free.
                                self.wait(&mut wait, &mut place, Missing::Backlog, &mut unreachable)?;
                                continue;
                            }
                        }
                    }
                    avoid.push((claim.index, claim.serial));
                    continue;
                }
                Look::Full => return Err(NotDelivered::QueueFull),
                Look::Failing => return Err(NotDelivered::Failing),
                Look::Missing(missing) => missing,
            };
            self.wait(&mut wait, &mut place, missing, &mut unreachable)?;
        }
    }

    /// Waits for something to change, in the queue of the group.
    fn wait(
        &self,
        wait: &mut Wait,
        place: &mut Option<QueueTicket<'_>>,
        missing: Missing,
        unreachable: &mut Option<io::Error>,
    ) -> Result<(), NotDelivered> {
        if place.is_none() && missing == Missing::Threads {
            // What got free before has called nobody: the next look finds it.
            *place = Some(QueueTicket::take(&self.group.record.queue));
            return Ok(());
        }
        let watches = place.as_ref().is_none_or(QueueTicket::watches);
        let pause =
            wait.pause(Instant::now(), missing, watches).map_err(|over| match (over, unreachable.take(), missing) {
                (Expired::Queue, ..) => NotDelivered::QueueTimeout,
                (Expired::Silence, _, Missing::Ready) => NotDelivered::NotReady,
                (Expired::Silence, ..) => NotDelivered::Silence,
                (Expired::Connect, Some(error), _) => NotDelivered::Unreachable(error),
                (Expired::Connect, None, _) => NotDelivered::NoProcess,
            })?;
        place.get_or_insert_with(|| QueueTicket::take(&self.group.record.queue)).wait(pause);
        Ok(())
    }

    /// Tries one process: over an idle connection first, then over a new one. The inner error is that of a connection
    /// that cannot be made.
    fn try_process(
        &mut self,
        claim: &Claim<'_>,
        mut seat: Option<Seat>,
        facts: &mut Facts,
        queue: Option<Instant>,
        outflow: &mut Outflow,
    ) -> Result<Result<Outcome, io::Error>, NotDelivered> {
        while let Some(connection) = self.sockets.idle.take(claim.index, claim.serial) {
            match self.converse(connection, claim, &mut seat, facts, queue, outflow) {
                // The process may have closed a connection that was idle, and be alive.
                Ok(Outcome::NotExecuted) | Err(BeginError::RoutesExhausted) => {}
                Ok(outcome) => return Ok(Ok(outcome)),
                Err(BeginError::TooLong) => return Err(NotDelivered::TooLong),
            }
        }
        let connection = match self.connect(claim) {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        self.converse(connection, claim, &mut seat, facts, queue, outflow).map(Ok).map_err(|_| NotDelivered::TooLong)
    }

    fn connect(&self, claim: &Claim<'_>) -> io::Result<Connection> {
        let path = table::socket_path(&self.sockets.prefix, self.sockets.parent, claim.index, claim.serial);
        Connection::open(&path, claim.serial, claim.secret, LOOK, self.group.buffers)
            .map_err(|error| unreachable::explained(&error, Path::new(&path)))
    }

    /// Has the conversation on one connection, which may become a WebSocket, and keeps the connection if it can carry
    /// another request.
    fn converse(
        &mut self,
        mut connection: Connection,
        claim: &Claim<'_>,
        seat: &mut Option<Seat>,
        facts: &mut Facts,
        queue: Option<Instant>,
        outflow: &mut Outflow,
    ) -> Result<Outcome, BeginError> {
        let Scratch { route, body, message, inbox } = &mut *self.scratch;
        message.clear();
        inbox.clear();
        facts.route = connection.begin(route, message)?;
        let exchange = connection.exchange();
        frame::put_in(exchange, message, Kind::Request, |out| (self.encode)(out, facts, body, self.client))?;
        let duplex = self.dialogue != Dialogue::InTurns;
        let (flush_delay, silence, record) =
            (self.group.flush_delay, self.group.wait_limits.silence, self.group.record);
        let source = Source { process: claim.pid(), used: &record.logged, rate: self.group.log };
        let (answered, done, ended) = (&|| claim.answered(), &|| claim.done(), &|| claim.has_ended());
        let limits = ConversationLimits { flush_delay, queue, silence, answered, done, ended, source, duplex };
        let Some(watched) = stop::watch(&connection.stream) else { return Ok(Outcome::NotExecuted) };
        let outcome = Conversation::new(&connection, inbox, self.client, outflow, limits).run(message);
        drop(watched);
        if let (Outcome::Accepted, Some(seat)) = (outcome, seat.take()) {
            // It is no request any more for which a place has to be kept.
            claim.done();
            let settings = Settings { is_deflate: self.client.deflates(), ..self.group.websocket };
            let carrier = Carrier::new(settings, record, &mut connection, std::mem::take(inbox), source, seat);
            return Ok(match self.client.hand_over(connection, carrier) {
                Ok(()) => Outcome::HandedOver,
                Err(kept) => {
                    let (connection, mut carrier) = *kept;
                    let end = blocking::carry(&connection, &mut carrier, self.client);
                    Outcome::WebSocket(end, carrier.code())
                }
            });
        }
        if outcome.leaves_connection_usable() {
            if inbox.is_empty() {
                self.sockets.idle.put(claim.index, connection);
            } else {
                let text = "a daemon process has sent something behind the end of its answer; their connection ends";
                self.client.tell(&internal::BEHIND_THE_END, text);
            }
        }
        Ok(outcome)
    }

    /// Sends what the client had not taken when the conversation ended.
    fn send_rest(&mut self, mut outflow: Outflow, outcome: Outcome) -> Outcome {
        if outflow.is_empty() || outcome == Outcome::ClientGone {
            return outcome;
        }
        let then = if outcome == Outcome::Complete { Then::End } else { Then::Flush };
        match outflow.drain(self.client).and_then(|()| self.client.data(&[], then)) {
            Ok(()) => outcome,
            Err(SendError::Gone) => Outcome::ClientGone,
            Err(SendError::Refused(violation)) => Outcome::Violated(violation, true),
            Err(SendError::Unkept(error)) => Outcome::Unkept(error),
        }
    }
}
