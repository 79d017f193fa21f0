//! The connections of a process with an event loop. One epoll instance has them all and is one reader of the loop: the
//! loop's thread takes what comes, without another thread in between.

mod closing;

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use wsgi_unix::fork::Unshared;
use wsgi_wire::control::Reason;
use wsgi_wire::messages::internal;

use crate::asgi::farewell::Farewell;
use crate::asgi::figures::Lag;
use crate::asgi::python::Objects;
use crate::asgi::timeouts::Timeouts;
use crate::ffi::guard;
use crate::log::record;
use crate::process::Process;
use crate::process::lifecycle::Stage;
use crate::process::watch::Present;
use crate::workers::connection::{Arrived, Connection};
use crate::workers::listener::Listener;

/// The key of the listening socket, first of those that are no connection's; connections have their descriptor's
/// number.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// A request, as its connection sees it.
pub(super) trait Carried: Send + Sync {
    /// Sends what waits, because the connection takes more.
    fn flush(&self, py: Python<'_>);
    /// Receives what has come on the connection.
    fn hear(&self, py: Python<'_>);
    /// Handles that the request has exceeded `request-timeout`.
    fn is_late(&self, py: Python<'_>);
    /// Whether it is a WebSocket that is open.
    fn is_open(&self) -> bool;
    /// Closes a WebSocket that is open, because the process ends.
    fn leave(&self, py: Python<'_>);
    /// Ends the request after a panic, as one that has failed.
    fn abandon(&self, py: Python<'_>);
    /// Answers the request in the place of the loop, on another thread.
    fn answer_for_the_loop(&self);
}

/// How many connections are looked at before the application's tasks have their turn.
const EVENTS: usize = 64;

pub(super) const READS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);

/// The state of a connection.
pub(super) enum Slot {
    /// The connection waits for its next request.
    Idle(Box<Connection>),
    /// The connection carries this request.
    Busy(Arc<dyn Carried>),
    /// The request of the connection waits for its application to start.
    Waiting(Box<Connection>, Arrived),
}

/// The connections, and the requests of other threads to the loop.
pub(crate) struct Server {
    epoll: Unshared,
    listener: Listener,
    wake: Unshared,
    secret: u64,
    timeout: Option<Duration>,
    slots: Mutex<HashMap<u64, Slot>>,
    /// How many requests' responses or tasks are not over.
    running: AtomicUsize,
    /// Marks the process as busy while there are such requests.
    present: Mutex<Option<Present<'static>>>,
    /// Whether no more requests are taken.
    retired: AtomicBool,
    /// Whether the loop has to end.
    closed: AtomicBool,
    /// Whether the loop has been asked to show that it goes round, and has not done so yet.
    asked: AtomicBool,
    lag: Lag,
    /// The requests that `request-timeout` may hit.
    pub(super) timeouts: Timeouts<dyn Carried>,
    farewell: Mutex<Option<Farewell<dyn Carried>>>,
    objects: OnceLock<Objects>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The server of this process; `None` where workers serve.
pub(crate) fn server() -> Option<&'static Server> {
    SERVER.get()
}

impl Server {
    /// Makes the server of this process; once. Nothing is accepted before [`Server::opens`].
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn make(
        listener: Unshared,
        secret: u64,
        users: Vec<u32>,
        timeout: Option<Duration>,
        request_timeout: Option<Duration>,
    ) -> std::io::Result<&'static Self> {
        let epoll = Unshared::make(|| epoll::create(CreateFlags::CLOEXEC))?;
        let wake = Unshared::make(|| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let server = Self {
            epoll,
            listener: Listener::new(listener, users)?,
            wake,
            secret,
            timeout,
            slots: Mutex::default(),
            running: AtomicUsize::new(0),
            present: Mutex::new(None),
            retired: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            lag: Lag::default(),
            timeouts: Timeouts::new(request_timeout),
            farewell: Mutex::new(None),
            objects: OnceLock::new(),
        };
        Ok(SERVER.get_or_init(|| server))
    }

    /// Sets the Python objects, and lets connections come.
    pub(super) fn opens(&self, objects: Objects) -> &Objects {
        let objects = self.objects.get_or_init(|| objects);
        self.look_at_listener(|e, s, d, f| epoll::add(e, s, d, f));
        objects
    }

    /// The Python objects; always there once requests come.
    pub(super) fn objects(&self) -> Option<&Objects> {
        self.objects.get()
    }

    /// The number of the descriptor that the loop reads.
    pub(super) fn descriptor(&self) -> i32 {
        self.epoll.as_raw_fd()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<u64, Slot>> {
        // Locked only for a moment, while nothing of Python runs.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connections on which something has happened, and what. Does not wait. Other events are handled here.
    pub(super) fn events(&self, py: Python<'_>) -> Vec<(u64, EventFlags)> {
        let mut events = Vec::with_capacity(EVENTS);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                record::process(&internal::POLL_FAILED, &format!("Waiting for requests failed: {error}."));
                Process::get().lifecycle.stop(Reason::Exhausted);
            }
        }
        let mut happened = Vec::with_capacity(events.len());
        for event in events {
            match event.data.u64() {
                LISTENER => self.accept_or_look_again(py),
                WAKE => guard::catch("a wake of the event loop", || self.woken(py)).unwrap_or_else(|| self.wake()),
                key => happened.push((key, event.flags)),
            }
        }
        happened
    }

    fn accept_or_look_again(&self, py: Python<'_>) {
        if guard::catch("the listening socket", || self.accept(py)).is_none() {
            self.look_at_listener(|e, s, d, f| epoll::modify(e, s, d, f));
        }
    }

    fn accept(&self, py: Python<'_>) {
        let accepts = self.listener.accept(|socket| {
            let mut connection = Box::new(Connection::new(socket, self.timeout));
            connection.is_duplex();
            let key = connection.as_fd().as_raw_fd() as u64;
            match epoll::add(&self.epoll, connection.socket(), EventData::new_u64(key), READS) {
                Ok(()) => {
                    self.slots().insert(key, Slot::Idle(connection));
                }
                Err(error) => {
                    record::process(&internal::NOT_WATCHED, &format!("A connection cannot be waited for: {error}."));
                }
            }
        });
        if accepts {
            return self.look_at_listener(|e, s, d, f| epoll::modify(e, s, d, f));
        }
        let pause = self.listener.pause_left().unwrap_or_default();
        if let Some(objects) = self.objects() {
            objects.call_later(py, pause, "resume");
        }
    }

    /// Looks at the listening socket again after a pause.
    pub(super) fn resume(&self) {
        if self.listener.resume() {
            self.look_at_listener(|e, s, d, f| epoll::modify(e, s, d, f));
        }
    }

    fn look_at_listener(&self, how: fn(&Unshared, &Unshared, EventData, EventFlags) -> rustix::io::Result<()>) {
        let listener = self.listener.socket();
        let Some(listener) = listener.as_ref() else { return };
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        if let Err(error) = how(&self.epoll, listener, EventData::new_u64(LISTENER), flags) {
            record::process(&internal::NO_MORE_ACCEPTED, &format!("No more connections can be accepted: {error}."));
        }
    }

    /// The request that a connection carries, if it carries one.
    pub(super) fn carried(&self, key: u64) -> Option<Arc<dyn Carried>> {
        match self.slots().get(&key) {
            Some(Slot::Busy(carried)) => Some(Arc::clone(carried)),
            _ => None,
        }
    }

    /// Does something about a connection. A panic costs the connection if it carries no request yet, and else that.
    pub(super) fn contain(&self, py: Python<'_>, key: u64, step: impl FnOnce()) {
        if guard::catch("what comes on a connection", step).is_none() {
            if let Some(carried) = self.carried(key) {
                carried.abandon(py);
            }
        }
    }

    /// Takes a connection that carries no request.
    pub(super) fn take_idle(&self, key: u64) -> Option<Box<Connection>> {
        let mut slots = self.slots();
        match slots.remove(&key)? {
            Slot::Idle(connection) => Some(connection),
            other => {
                slots.insert(key, other);
                None
            }
        }
    }

    /// The secret that proves that a connection comes from an Apache child.
    pub(super) fn secret(&self) -> u64 {
        self.secret
    }

    /// Drops a connection that is of no more use.
    pub(super) fn dropped(&self, connection: Box<Connection>) {
        drop(connection);
        self.resume();
    }

    /// Puts a connection back to wait for its next request, which may be there already.
    pub(super) fn park(&self, key: u64, connection: Box<Connection>) {
        if self.retired.load(Ordering::Acquire) {
            return self.dropped(connection);
        }
        self.slots().insert(key, Slot::Idle(connection));
    }

    /// Makes a connection's request wait for its application to start.
    pub(super) fn waits(&self, key: u64, connection: Box<Connection>, arrived: Arrived) {
        // Once more, and then not before it goes on: nothing of it is looked at meanwhile.
        self.watch(key, &connection, EventFlags::ONESHOT);
        self.slots().insert(key, Slot::Waiting(connection, arrived));
    }

    /// Takes the request of a connection that may go on.
    pub(super) fn goes_on(&self, key: u64) -> Option<(Box<Connection>, Arrived)> {
        match self.slots().remove(&key)? {
            Slot::Waiting(connection, arrived) => {
                self.watch(key, &connection, READS);
                Some((connection, arrived))
            }
            _ => None,
        }
    }

    /// Notes that a connection carries a request.
    pub(super) fn carries(&self, key: u64, carried: Arc<dyn Carried>) {
        self.slots().insert(key, Slot::Busy(carried));
    }

    /// Forgets a connection whose request is over, or on which nothing more comes.
    pub(super) fn forget(&self, key: u64) {
        self.slots().remove(&key);
    }

    /// Makes the loop watch for what comes on the connection (`reads`), and for room there (`full`).
    pub(super) fn watches(&self, key: u64, connection: &Connection, reads: bool, full: bool) {
        let mut flags = EventFlags::empty();
        flags.set(READS, reads);
        flags.set(EventFlags::OUT, full);
        self.watch(key, connection, flags);
    }

    fn watch(&self, key: u64, connection: &Connection, flags: EventFlags) {
        if let Err(error) = epoll::modify(&self.epoll, connection.socket(), EventData::new_u64(key), flags) {
            record::process(&internal::NOT_WATCHED, &format!("A connection cannot be waited for: {error}."));
        }
    }

    /// Stops watching for what comes on the connection.
    pub(super) fn unwatch(&self, connection: &Connection) {
        // It is there.
        let _ = epoll::delete(&self.epoll, connection.socket());
    }

    /// Counts a request that begins.
    pub(super) fn begins(&self) {
        let process = Process::get();
        if self.running.fetch_add(1, Ordering::AcqRel) == 0 {
            *self.present.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(process.watch.enter(&process.lifecycle));
        }
        process.page.busy.fetch_add(1, Ordering::Relaxed);
        process.watch.request_began();
    }

    /// Counts a request whose response and task are over.
    pub(super) fn ends(&self, ignore_activity: bool) {
        let process = Process::get();
        if !ignore_activity {
            process.watch.active();
        }
        process.page.busy.fetch_sub(1, Ordering::Relaxed);
        // What the group's own code writes there may be any number.
        let done = process.page.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // Exactly one request is the one that reaches it.
        if process.watch.request_limit == Some(done) {
            process.lifecycle.retire(Reason::MaximumRequests);
        }
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            drop(self.present.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        if process.lifecycle.stage() != Stage::Serving {
            // The main loop may be waiting for this.
            process.lifecycle.wake();
        }
    }

    /// Whether there are requests whose response or task is not over.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    /// Asks the loop to show that it goes round. Returns whether it has, since it was asked last.
    pub(crate) fn goes_round(&self) -> bool {
        let has = !self.asked.swap(true, Ordering::AcqRel);
        self.wake();
        has
    }

    /// Asks the loop to show how late it comes. From any thread.
    pub(crate) fn asks_for_lag(&self) {
        if self.lag.ask(Instant::now()) {
            self.wake();
        }
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn woken(&self, py: Python<'_>) {
        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
        self.asked.store(false, Ordering::Release);
        if let Some(lag) = self.lag.comes(Instant::now()) {
            Process::get().page.lag.add(lag);
        }
        if self.retired.load(Ordering::Acquire) {
            let idle = |_: &u64, slot: &mut Slot| !matches!(slot, Slot::Idle(_));
            self.slots().retain(idle);
            self.say_farewell(py);
        }
        // Once: what the loop still does at its end must not be stopped again.
        if self.closed.swap(false, Ordering::AcqRel) {
            if let Some(objects) = self.objects() {
                objects.stop_loop(py);
            }
        }
    }
}
