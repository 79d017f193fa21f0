//! The parts of a server, in whose process Python is a guest, that a forked process must not have: the connections of
//! its clients, the sockets that it listens on, its signal handlers. All of these were there before Python, and are
//! recognised by that.

use std::mem::{MaybeUninit, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::Relaxed};

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::net::getsockname;
use rustix::net::sockopt::socket_acceptconn;
use rustix::process::{Resource, getrlimit};

/// How many descriptors are looked at where the system does not list those that are open.
const MAX: u64 = 65536;

/// How many ports are remembered; a server has a few.
const PORTS: usize = 64;

/// The ports that the server listens on; 0 is none.
static SERVED: [AtomicU16; PORTS] = [const { AtomicU16::new(0) }; PORTS];

/// The number of the first signal that is ignored here; real-time signals have none of a server's handlers.
const SIGNALS: usize = 32;

/// The server's handlers by signal; 0 is none.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Whether a server has been remembered.
static REMEMBERED: AtomicBool = AtomicBool::new(false);

/// Remembers the server as it is now, before any guest runs.
pub(super) fn remember() {
    let mut places = SERVED.iter();
    each_descriptor(|descriptor| {
        if is_listening(descriptor) {
            if let (Some(port), Some(place)) = (local_port(descriptor), places.next()) {
                place.store(port, Relaxed);
            }
        }
    });
    REMEMBERED.store(true, Relaxed);
    for (signal, place) in HANDLERS.iter().enumerate().skip(1) {
        place.store(handler(signal as i32), Relaxed);
    }
}

/// Leaves the server, in the forked process: calls `withhold` for its sockets, and lets signals do what they do to a
/// process that handles none. System calls only.
pub(super) fn leave(withhold: impl Fn(i32)) {
    // Once: what a child of the child has is its own.
    if !REMEMBERED.swap(false, Relaxed) {
        return;
    }
    let is_served = |port: u16| SERVED.iter().any(|served| served.load(Relaxed) == port);
    each_descriptor(|descriptor| {
        if local_port(descriptor).is_some_and(is_served) {
            withhold(descriptor);
        }
    });
    for (signal, place) in HANDLERS.iter().enumerate().skip(1) {
        let servers = place.load(Relaxed);
        // Python may have a handler of its own by now, which knows what to do.
        if servers != 0 && handler(signal as i32) == servers {
            // SAFETY: changes what a signal does.
            unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
        }
    }
    // Last: one that has come meanwhile is not for the server's handler, which would do nothing here.
    unblock_signals();
}

/// Unblocks all signals: servers block them in their threads, so that one thread gets them all, but a forked process
/// has only one thread.
fn unblock_signals() {
    // SAFETY: bits, for which zeros are valid.
    let mut none: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: a place for a set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: an initialised set; the former one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// The function that handles a signal; 0 if none does.
fn handler(signal: i32) -> usize {
    // SAFETY: numbers, and a function that may be none.
    let mut action: libc::sigaction = unsafe { zeroed() };
    // SAFETY: a place for an action; none is set.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    match action.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => 0,
        function => function,
    }
}

/// A descriptor that is open while this process looks at it.
fn open(number: i32) -> BorrowedFd<'static> {
    // SAFETY: it is on the list of those that are open. It is asked what it is, and not kept: if another thread closes
    // it meanwhile, the kernel answers that there is none, or answers for another one.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn is_listening(descriptor: i32) -> bool {
    socket_acceptconn(open(descriptor)).unwrap_or(false)
}

/// The port at our end of an Internet socket.
fn local_port(descriptor: i32) -> Option<u16> {
    let address = SocketAddr::try_from(getsockname(open(descriptor)).ok()?).ok()?;
    Some(address.port()).filter(|port| *port != 0)
}

/// Calls `body` for each open descriptor, without allocating: as `/proc` lists them, or, where there is none, for all
/// numbers that may be open.
fn each_descriptor(mut body: impl FnMut(i32)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(c"/proc/self/fd", flags, Mode::empty()) else {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(MAX);
        return (3..limit.min(MAX) as i32).for_each(body);
    };
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(directory.as_fd(), &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        let is_another = |number: &i32| *number != directory.as_raw_fd() && *number > libc::STDERR_FILENO;
        if let Some(descriptor) = number.filter(is_another) {
            body(descriptor);
        }
    }
}
