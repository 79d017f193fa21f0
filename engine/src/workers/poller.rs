//! The one place where workers wait: the listening socket and every idle connection, in one-shot mode, so that no other
//! worker looks at a connection until it is given back.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use wsgi_unix::fork::Unshared;
use wsgi_wire::messages::internal;

use crate::log::record;
use crate::workers::connection::{Arrived, Connection, ConnectionError};
use crate::workers::leader::LeaderLock;
use crate::workers::listener::Listener;

/// The key of the listening socket, first of those that are no connection's; connections have their descriptor's
/// number.
const LISTENER: u64 = u64::MAX;
const CLOSED: u64 = u64::MAX - 1;

/// A request, and the connection that it came on.
pub(crate) type Ready = (Box<Connection>, Arrived);

/// The connections that wait for their next request, each at its descriptor's number, which the system keeps small.
type Idle = Vec<Option<Box<Connection>>>;

/// The sockets that the workers wait for together.
pub(crate) struct Poller {
    epoll: Unshared,
    listener: Listener,
    idle: Mutex<Idle>,
    /// A descriptor that is readable for ever once the poller is closed, so that all workers wake up.
    closed: Unshared,
    secret: u64,
    timeout: Option<Duration>,
    /// The lock that decides which of the workers waits here.
    pub(crate) leadership: LeaderLock,
}

/// The result of a wait.
pub(crate) enum Event {
    /// A request is there.
    Request(Ready),
    /// There is no request now.
    Nothing,
    /// The poller is closed: there will be no more requests.
    Closed,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Consistent between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Poller {
    /// A poller that accepts connections from `listener`, made by processes of these users (uids) that know `secret`.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn new(
        listener: Unshared,
        secret: u64,
        users: Vec<u32>,
        timeout: Option<Duration>,
    ) -> std::io::Result<Self> {
        let epoll = Unshared::make(|| epoll::create(CreateFlags::CLOEXEC))?;
        let closed = Unshared::make(|| eventfd(0, EventfdFlags::CLOEXEC))?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN | EventFlags::ONESHOT)?;
        epoll::add(&epoll, &closed, EventData::new_u64(CLOSED), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener: Listener::new(listener, users)?,
            idle: Mutex::default(),
            closed,
            secret,
            timeout,
            leadership: LeaderLock::new(),
        })
    }

    /// Returns the next request. Without `wait` only one that is there now.
    pub(crate) fn next(&self, wait: bool) -> Event {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(CLOSED) }];
        loop {
            let pause = self.listener.pause_left();
            if pause == Some(Duration::ZERO) {
                self.resume();
                continue;
            }
            let limit = if wait { pause } else { Some(Duration::ZERO) };
            let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
            match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) if wait => continue,
                Ok(0) | Err(Errno::INTR) => return Event::Nothing,
                Ok(_) => {}
                Err(error) => {
                    record::process(&internal::POLL_FAILED, &format!("Waiting for requests failed: {error}."));
                    return Event::Closed;
                }
            }
            match events[0].data.u64() {
                CLOSED => return Event::Closed,
                LISTENER => self.accept(),
                key => {
                    let connection = lock(&self.idle).get_mut(key as usize).and_then(Option::take);
                    if let Some(ready) = connection.and_then(|connection| self.receive(connection)) {
                        return Event::Request(ready);
                    }
                }
            }
        }
    }

    fn accept(&self) {
        let accepts = self.listener.accept(|socket| {
            let connection = Box::new(Connection::new(socket, self.timeout));
            self.watch(connection, |e, s, d, f| epoll::add(e, s, d, f));
        });
        if accepts {
            self.look_at_listener();
        }
    }

    fn look_at_listener(&self) {
        let listener = self.listener.socket();
        let Some(listener) = listener.as_ref() else { return };
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        if let Err(error) = epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags) {
            record::process(&internal::NO_MORE_ACCEPTED, &format!("No more connections can be accepted: {error}."));
        }
    }

    /// Looks at the listening socket again after a pause.
    fn resume(&self) {
        if self.listener.resume() {
            self.look_at_listener();
        }
    }

    fn receive(&self, mut connection: Box<Connection>) -> Option<Ready> {
        match connection.receive(self.secret) {
            Ok(Some(arrived)) => return Some((connection, arrived)),
            Ok(None) => {
                self.park(connection);
                return None;
            }
            Err(ConnectionError::Closed) => drop(connection),
            Err(error) => {
                drop(connection);
                record::process(&internal::CONNECTION_BROKEN, &format!("A connection is closed: {error}."));
            }
        }
        self.resume();
        None
    }

    /// Takes back a connection that waits for its next request.
    pub(crate) fn park(&self, connection: Box<Connection>) {
        self.watch(connection, |e, s, d, f| epoll::modify(e, s, d, f));
    }

    fn watch(
        &self,
        connection: Box<Connection>,
        how: fn(&Unshared, &Unshared, EventData, EventFlags) -> rustix::io::Result<()>,
    ) {
        let key = connection.as_fd().as_raw_fd() as usize;
        let mut idle = lock(&self.idle);
        if idle.len() <= key {
            idle.resize_with(key + 1, || None);
        }
        // Inside the lock: the event may come at once, and must find the connection.
        match how(
            &self.epoll,
            connection.socket(),
            EventData::new_u64(key as u64),
            EventFlags::IN | EventFlags::ONESHOT,
        ) {
            Ok(()) => {
                idle[key] = Some(connection);
            }
            Err(error) => {
                record::process(&internal::NOT_WATCHED, &format!("A connection cannot be waited for: {error}."))
            }
        }
    }

    /// Accepts nothing any more and closes the idle connections. An Apache child that has just sent a request on one of
    /// them sees that it was not read.
    pub(crate) fn retire(&self) {
        self.listener.close();
        drop(std::mem::take(&mut *lock(&self.idle)));
    }

    /// Wakes all workers: there is nothing more to wait for.
    pub(crate) fn close(&self) {
        self.retire();
        // An eventfd at zero takes any number.
        let _ = rustix::io::write(&self.closed, &1u64.to_ne_bytes());
    }
}
