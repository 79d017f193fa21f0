//! The thread of the pump.

use std::collections::BTreeMap;
use std::io;
use std::mem::{MaybeUninit, replace, take};
use std::ops::ControlFlow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFlags, Timespec, eventfd};
use wsgi_unix::stop as apache;
use wsgi_unix::timespec::timespec;
use wsgi_wire::messages::{internal, requests};

use super::member::{Member, Next};
use super::timers::Timers;
use crate::httpd::log;
use crate::httpd::process::BackgroundThread;
use crate::httpd::server::Server;
use crate::relay::websocket::carrier::{LOOK, Memory, Seen};

/// What an event of the pump's own says: somebody has news for it.
const WAKE: u64 = u64::MAX;

/// How many events are taken at once.
const EVENTS: usize = 256;

/// How long it is waited for more WebSockets of a process that has ended, so that one record tells of all.
const GATHER: Duration = Duration::from_millis(100);

/// Members that have come and that the pump has not taken yet.
static ARRIVALS: Mutex<Vec<Member>> = Mutex::new(Vec::new());
/// What the pump waits for, besides sockets. No lock is needed to wake it, not in a signal handler either.
static BELL: OnceLock<OwnedFd> = OnceLock::new();
static THREAD: Mutex<Option<BackgroundThread>> = Mutex::new(None);
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Wakes the pump, if there is one.
pub fn wake() {
    if let Some(bell) = BELL.get() {
        // One that has rung rings.
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}

/// Gives a WebSocket to the pump.
pub fn adopt(member: Member) {
    ARRIVALS.lock().unwrap_or_else(PoisonError::into_inner).push(member);
    wake();
}

/// Whether there is a pump in this child; begins it where there has been none.
pub fn is_running() -> bool {
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    if STOPPING.load(Ordering::Acquire) {
        return false;
    }
    if thread.is_some() {
        return true;
    }
    let begun = Pump::new().and_then(|mut pump| {
        BackgroundThread::repeat("the pump of WebSockets", "wsgi-websockets", move || pump.turn())
    });
    match begun {
        Ok(begun) => *thread = Some(begun),
        Err(error) => log::main(
            &internal::NO_PUMP,
            format_args!("each WebSocket holds a thread of Apache, because there can be no thread for all: {error}"),
        ),
    }
    thread.is_some()
}

/// Ends the pump, and all WebSockets of this child.
pub fn stop() {
    STOPPING.store(true, Ordering::Release);
    let Some(thread) = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    if thread.is_here() {
        // Those that are still there hear of it.
        apache::begin();
        wake();
        thread.join();
    }
}

/// What the thread has.
struct Pump {
    epoll: OwnedFd,
    members: Vec<Option<Box<Member>>>,
    free: Vec<usize>,
    timers: Timers,
    /// Members that have more to do at once.
    ready: Vec<usize>,
    memory: Memory,
    /// When it was last looked after all members.
    looked: Instant,
    /// How many members have lost each process, and the server of one of them.
    lost: BTreeMap<u32, (u32, Option<usize>)>,
    /// When the first of these has.
    lost_since: Option<Instant>,
    has_said_farewell: bool,
    is_in_turn: bool,
}

fn flags(wanted: PollFlags) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, wanted.contains(PollFlags::IN));
    flags.set(EventFlags::OUT, wanted.contains(PollFlags::OUT));
    flags
}

/// Waits for something else at a socket than before. A side of which nothing is wanted would tell of its end for ever.
fn watch(
    epoll: &OwnedFd,
    socket: BorrowedFd<'_>,
    token: u64,
    before: PollFlags,
    wanted: PollFlags,
) -> Result<(), rustix::io::Errno> {
    let data = EventData::new_u64(token);
    match (before.is_empty(), wanted.is_empty()) {
        _ if before == wanted => Ok(()),
        (true, _) => epoll::add(epoll, socket, data, flags(wanted)),
        (false, false) => epoll::modify(epoll, socket, data, flags(wanted)),
        (false, true) => epoll::delete(epoll, socket),
    }
}

impl Pump {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        if BELL.get().is_none() {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            // Only whoever has the lock of the thread is here.
            let _ = BELL.set(bell);
        }
        if let Some(bell) = BELL.get() {
            epoll::add(&epoll, bell, EventData::new_u64(WAKE), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            members: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            ready: Vec::new(),
            memory: Memory::default(),
            looked: Instant::now(),
            lost: BTreeMap::new(),
            lost_since: None,
            has_said_farewell: false,
            is_in_turn: false,
        })
    }

    /// Waits for something, and sees to it.
    fn turn(&mut self) -> ControlFlow<()> {
        if replace(&mut self.is_in_turn, true) {
            // A panic has broken the last one off: nobody knows who was seen to.
            self.ready = (0..self.members.len()).collect();
        }
        let turn = self.see_to_events();
        self.is_in_turn = false;
        turn
    }

    fn see_to_events(&mut self) -> ControlFlow<()> {
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS];
        let timeout = self.timeout(Instant::now());
        let found = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((found, _)) => found,
            // A signal that is another thread's.
            Err(_) => return ControlFlow::Continue(()),
        };
        let mut rings = false;
        // A number is given to another member only when all events are seen to.
        for event in found {
            match event.data.u64() {
                WAKE => rings = true,
                token => {
                    let flags = event.flags;
                    let has = |flag| flags.intersects(flag);
                    let comes = has(EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP);
                    let is_client = token % 2 == 0;
                    let seen = Seen { client: comes && is_client, process: comes && !is_client };
                    self.visit((token / 2) as usize, seen);
                }
            }
        }
        for index in take(&mut self.ready) {
            self.visit(index, Seen::default());
        }
        let now = Instant::now();
        let due: Vec<_> = std::iter::from_fn(|| self.timers.take_due(now)).collect();
        for (at, index) in due {
            let member = self.members.get_mut(index).and_then(Option::as_mut);
            // Others have been set for an earlier moment since, or for another member.
            if member.is_some_and(|member| member.timer.take_if(|timer| *timer == at).is_some()) {
                self.visit(index, Seen::default());
            }
        }
        if rings {
            self.answer_bell();
        }
        if now.saturating_duration_since(self.looked) >= LOOK {
            self.looked = now;
            self.look();
        }
        if self.lost_since.is_some_and(|since| now.saturating_duration_since(since) >= GATHER) {
            self.tell_of_lost();
        }
        self.farewell()
    }

    /// How long to wait at the most.
    fn timeout(&self, now: Instant) -> Option<Timespec> {
        let is_empty = self.members.len() == self.free.len();
        let mut wait = match (self.ready.is_empty(), is_empty) {
            (false, _) => Some(Duration::ZERO),
            (true, true) => None,
            (true, false) => Some(LOOK),
        };
        if self.lost_since.is_some() {
            wait = Some(wait.map_or(GATHER, |wait| wait.min(GATHER)));
        }
        if let Some(next) = self.timers.next() {
            let left = next.saturating_duration_since(now);
            wait = Some(wait.map_or(left, |wait| wait.min(left)));
        }
        wait.map(timespec)
    }

    /// Has a member do what it can.
    fn visit(&mut self, index: usize, seen: Seen) {
        let Some(place) = self.members.get_mut(index) else { return };
        let Some(member) = place.as_mut() else { return };
        let was_open = member.is_open();
        let server = member.server();
        let next = member.turn(seen, &mut self.memory);
        if was_open && !member.is_open() {
            // That of the process is closed, and so not watched.
            member.watched[1] = PollFlags::empty();
        }
        match next {
            Next::Again => self.ready.push(index),
            Next::Lost(process) => {
                let (count, of) = self.lost.entry(process).or_default();
                *count += 1;
                *of = server;
                self.lost_since.get_or_insert_with(Instant::now);
                self.ready.push(index);
            }
            Next::Wait => {}
            Next::Done => return self.remove(index),
        }
        let wants = member.wants();
        let (wanted, mut until) = ([wants.client, wants.process], wants.until);
        let mut watched = member.watched;
        for ((side, socket), (before, wanted)) in (0..).zip(member.sockets()).zip(watched.iter_mut().zip(wanted)) {
            let Some(socket) = socket else { continue };
            let token = (index as u64) << 1 | side;
            if watch(&self.epoll, socket, token, *before, wanted).is_ok() {
                *before = wanted;
            } else {
                // The system has no memory for that now.
                let soon = Instant::now() + LOOK;
                until = Some(until.map_or(soon, |until| until.min(soon)));
            }
        }
        member.watched = watched;
        self.timers.set(&mut member.timer, until, index);
    }

    fn remove(&mut self, index: usize) {
        let Some(member) = self.members.get_mut(index).and_then(Option::take) else { return };
        if !member.watched[0].is_empty() {
            if let [Some(client), _] = member.sockets() {
                // It is closed below in any case.
                let _ = epoll::delete(&self.epoll, client);
            }
        }
        self.free.push(index);
        member.destroy();
    }

    /// Takes those that have come.
    fn answer_bell(&mut self) {
        if let Some(bell) = BELL.get() {
            // It may ring again, and then is heard again.
            let _ = rustix::io::read(bell, &mut [0; 8]);
        }
        let arrivals = take(&mut *ARRIVALS.lock().unwrap_or_else(PoisonError::into_inner));
        for member in arrivals {
            let index = match self.free.pop() {
                Some(index) => index,
                None => {
                    self.members.push(None);
                    self.members.len() - 1
                }
            };
            self.members[index] = Some(Box::new(member));
            // What has come meanwhile may be in a filter.
            self.visit(index, Seen { client: true, process: true });
        }
    }

    /// Looks after all members.
    fn look(&mut self) {
        for index in 0..self.members.len() {
            let member = self.members.get_mut(index).and_then(Option::as_mut);
            if member.is_some_and(|member| member.look()) {
                self.visit(index, Seen { client: false, process: true });
            }
        }
    }

    /// Tells of processes that have ended without closing their WebSockets.
    fn tell_of_lost(&mut self) {
        self.lost_since = None;
        for (process, (count, server)) in take(&mut self.lost) {
            let text = format!(
                "daemon process {process} has ended without closing {count} WebSockets, whose clients see that their connections are lost"
            );
            let main = Server::main();
            let server = main.and_then(|main| main.all().find(|one| Some(one.id()) == server));
            match server.or(main) {
                Some(server) => log::server(server, &requests::WEBSOCKETS_LOST, format_args!("{text}")),
                None => log::main(&requests::WEBSOCKETS_LOST, format_args!("{text}")),
            }
        }
    }

    /// Says farewell to all where Apache stops, and ends where this child does.
    fn farewell(&mut self) -> ControlFlow<()> {
        if !apache::has_begun() {
            return ControlFlow::Continue(());
        }
        if !replace(&mut self.has_said_farewell, true) {
            (0..self.members.len()).for_each(|index| self.visit(index, Seen::default()));
        }
        if STOPPING.load(Ordering::Acquire) {
            self.answer_bell();
            self.tell_of_lost();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
