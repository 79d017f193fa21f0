//! What a forked process must not have of a server in whose process Python is a guest: the connections of its clients,
//! the sockets that it listens on, its signal handlers. All of that was there before Python, and is recognised by it.

use std::mem::{MaybeUninit, zeroed};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::Relaxed};

/// How many ports are remembered; a server has a few.
const PORTS: usize = 64;

/// The ports that the server listens on; 0 is none.
static SERVED: [AtomicU16; PORTS] = [const { AtomicU16::new(0) }; PORTS];

/// Signals that have numbers below this one; real-time signals have none of a server's handlers.
const SIGNALS: usize = 32;

/// The server's handlers by signal; 0 is none.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Whether there is a server to be left.
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

/// In the forked process: calls `withhold` for the server's sockets, and lets signals do what they do to a process that
/// handles none. System calls only.
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
    // SAFETY: a zeroed set is valid to be initialised. Servers block signals in their threads, so that one thread gets
    // them all; here is but one.
    unsafe {
        let mut none: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    for (signal, place) in HANDLERS.iter().enumerate().skip(1) {
        let servers = place.load(Relaxed);
        // Python may have a handler of its own by now, which knows what to do.
        if servers != 0 && handler(signal as i32) == servers {
            // SAFETY: changes what a signal does.
            unsafe { libc::signal(signal as i32, libc::SIG_DFL) };
        }
    }
}

/// The function that handles a signal; 0 if none does.
fn handler(signal: i32) -> usize {
    // SAFETY: a zeroed action is valid to be written to.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        match action.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => 0,
            function => function,
        }
    }
}

fn is_listening(descriptor: i32) -> bool {
    let (mut listens, mut length): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let value = (&raw mut listens).cast();
    // SAFETY: value and length are valid for the call; what is no socket fails.
    let got = unsafe { libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, value, &raw mut length) };
    got == 0 && listens != 0
}

/// The port at our end of an Internet socket.
fn local_port(descriptor: i32) -> Option<u16> {
    // SAFETY: the address is as long as is said; those of the Internet have the port at the same place, in network
    // order.
    let port = unsafe {
        let mut address: libc::sockaddr_storage = zeroed();
        let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        if libc::getsockname(descriptor, (&raw mut address).cast(), &raw mut length) != 0 {
            return None;
        }
        match i32::from(address.ss_family) {
            libc::AF_INET | libc::AF_INET6 => (*(&raw const address).cast::<libc::sockaddr_in>()).sin_port,
            _ => return None,
        }
    };
    (port != 0).then_some(port)
}

/// Calls `body` for each open descriptor, without any memory: as `/proc` lists them, or, where there is none, for all
/// numbers that may be open.
fn each_descriptor(mut body: impl FnMut(i32)) {
    // SAFETY: the path is a string; the buffer is as long as is said and aligned for the kernel's records; each of
    // these has its length, and its name as a string, at the places that `linux_dirent64` has them.
    unsafe {
        let folder = libc::open(c"/proc/self/fd".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if folder < 0 {
            let mut limit: libc::rlimit = zeroed();
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            return (3..limit.rlim_cur.min(65536) as i32).for_each(body);
        }
        let mut buffer = [MaybeUninit::<libc::dirent64>::uninit(); 16];
        loop {
            let bytes = libc::syscall(libc::SYS_getdents64, folder, buffer.as_mut_ptr(), size_of_val(&buffer));
            if bytes <= 0 {
                break;
            }
            let (start, mut at) = (buffer.as_ptr().cast::<u8>(), 0);
            while at < bytes as usize {
                let record = start.add(at).cast::<libc::dirent64>();
                at += usize::from((&raw const (*record).d_reclen).read_unaligned());
                let name = std::ffi::CStr::from_ptr((&raw const (*record).d_name).cast());
                let number = name.to_str().ok().and_then(|name| name.parse().ok());
                if let Some(descriptor) = number.filter(|number| *number != folder && *number > libc::STDERR_FILENO) {
                    body(descriptor);
                }
            }
        }
        libc::close(folder);
    }
}
