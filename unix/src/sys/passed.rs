//! Sockets that whoever starts this process has opened for it, systemd above all: the protocol of `sd_listen_fds(3)`.
//! The environment says how many, and the descriptors begin at number 3.

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketAddrV4, SocketAddrV6, SocketType, getsockname, sockopt};

/// The variables of the protocol, which are for this process alone.
pub const VARIABLES: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"];

/// The number of the first descriptor (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// How many descriptors are looked at, at the most.
const MOST: usize = 64;

/// The descriptors that are passed to this process. All zero there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Passed {
    count: usize,
    numbers: [RawFd; MOST],
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Inet(SocketAddr),
    /// The path of a unix socket.
    Unix(Vec<u8>),
    /// A unix socket with an abstract name.
    Abstract(Vec<u8>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.escape_ascii()),
            Self::Abstract(name) => write!(f, "unix:@{}", name.escape_ascii()),
        }
    }
}

/// Why a descriptor is of no use for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing is open under its number.
    #[error("is not open")]
    Closed,
    /// It is a file, a pipe or another kind of socket.
    #[error("is no stream socket that listens")]
    Kind,
}

impl Passed {
    /// What the environment says is passed to this process, and not to one that it was started by or has started.
    pub fn by_systemd(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| variable(name).and_then(|text| text.parse::<u32>().ok());
        let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).unwrap_or(0);
        let is_ours = number("LISTEN_PID") == Some(std::process::id());
        Self::of(is_ours.then_some(FIRST..FIRST.saturating_add(count)).into_iter().flatten())
    }

    /// The descriptors of a list as [`list`](Self::list) makes it.
    pub fn listed(list: &str) -> Self {
        Self::of(list.split(',').filter_map(|number| number.parse().ok()).filter(|number| *number >= FIRST))
    }

    fn of(numbers: impl Iterator<Item = RawFd>) -> Self {
        let mut passed = Self { count: 0, numbers: [0; MOST] };
        for (place, number) in passed.numbers.iter_mut().zip(numbers) {
            *place = number;
            passed.count += 1;
        }
        passed
    }

    /// These descriptors, and others.
    pub fn and<'f>(&self, others: impl Iterator<Item = BorrowedFd<'f>>) -> Self {
        Self::of(self.numbers().chain(others.map(|other| other.as_raw_fd())))
    }

    /// The numbers of the descriptors, for a process that this one becomes.
    pub fn list(&self) -> String {
        self.numbers().map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn numbers(&self) -> impl Iterator<Item = RawFd> {
        self.numbers.iter().copied().take(self.count)
    }

    /// Each descriptor: its number, and where it listens.
    pub fn places(&self) -> impl Iterator<Item = (RawFd, Result<Place, Unusable>)> {
        self.numbers().map(|number| (number, borrowed(number).and_then(place)))
    }

    /// Keeps the descriptors from programs that this process becomes or starts.
    pub fn keep(&self) {
        self.numbers().for_each(|number| set_flags(number, libc::FD_CLOEXEC));
    }

    /// Lets the program have the descriptors that this process becomes or starts next.
    pub fn hand_on(&self) {
        self.numbers().for_each(|number| set_flags(number, 0));
    }

    /// Closes the descriptors, in a process that is forked off the one that they were passed to.
    pub fn close(&self) {
        for number in self.numbers().filter(|number| borrowed(*number).is_ok()) {
            // SAFETY: by the protocol the descriptor is this process's; whoever calls this gives it up.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

/// Another descriptor of a passed socket, which lives as long as whoever has it wants.
///
/// # Errors
/// Those of `fcntl`.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    let socket = borrowed(number).map_err(io::Error::other)?;
    Ok(rustix::io::fcntl_dupfd_cloexec(socket, FIRST)?)
}

fn borrowed(number: RawFd) -> Result<BorrowedFd<'static>, Unusable> {
    // SAFETY: only asks whether there is a descriptor of this number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(Unusable::Closed);
    }
    // SAFETY: by the protocol it has been open since before this process began, and nobody closes it but
    // `Passed::close`, in a process that looks at none of them afterwards.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Sets the flags of a descriptor; one that is not open has none.
fn set_flags(number: RawFd, flags: c_int) {
    // SAFETY: changes a flag of a descriptor that the protocol gives to this process.
    unsafe { libc::fcntl(number, libc::F_SETFD, flags) };
}

/// Where a socket listens.
///
/// # Errors
/// [`Unusable`]
pub fn place(socket: impl AsFd) -> Result<Place, Unusable> {
    let socket = socket.as_fd();
    let is_listening =
        sockopt::socket_type(socket) == Ok(SocketType::STREAM) && sockopt::socket_acceptconn(socket) == Ok(true);
    let name = getsockname(socket).ok().filter(|_| is_listening).ok_or(Unusable::Kind)?;
    named(name).ok_or(Unusable::Kind)
}

fn named(name: SocketAddrAny) -> Option<Place> {
    if let Ok(name) = SocketAddrV4::try_from(name.clone()) {
        return Some(Place::Inet(name.into()));
    }
    if let Ok(name) = SocketAddrV6::try_from(name.clone()) {
        return Some(Place::Inet(name.into()));
    }
    let name = SocketAddrUnix::try_from(name).ok()?;
    if let Some(path) = name.path_bytes() {
        return Some(Place::Unix(path.strip_suffix(b"\0").unwrap_or(path).to_vec()));
    }
    #[cfg(target_os = "linux")]
    return name.abstract_name().map(|name| Place::Abstract(name.to_vec()));
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn what_is_passed_to_another_process_is_not_ours() {
        let said = |fds: &'static str, pid: u32| {
            let passed = Passed::by_systemd(move |name| match name {
                "LISTEN_FDS" => Some(fds.to_owned()),
                "LISTEN_PID" => Some(pid.to_string()),
                _ => None,
            });
            passed.list()
        };
        let own = std::process::id();
        assert_eq!(said("2", own), "3,4");
        for (count, pid) in [("2", own + 1), ("-1", own), ("x", own), ("4000000000", own)] {
            assert_eq!(said(count, pid), "", "{count}");
        }
        assert_eq!(said("100000", own).split(',').count(), MOST);
        assert!(Passed::by_systemd(|_| None).is_empty());
        assert_eq!(Passed::listed("3,1,x,-7,12").list(), "3,12");
        let stdin = std::io::stdin();
        assert_eq!(Passed::listed("3").and(std::iter::once(stdin.as_fd())).list(), "3,0");
    }

    #[test]
    fn only_stream_sockets_that_listen_are_of_use() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(place(&tcp), Ok(Place::Inet(tcp.local_addr().unwrap())));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let unix = place(UnixListener::bind(&path).unwrap()).unwrap();
        assert_eq!(unix.to_string(), format!("unix:{}", path.display()));
        let (connected, _other) = UnixStream::pair().unwrap();
        assert_eq!(place(connected), Err(Unusable::Kind));
        assert_eq!(place(UdpSocket::bind("127.0.0.1:0").unwrap()), Err(Unusable::Kind));
        assert_eq!(place(File::open("/dev/null").unwrap()), Err(Unusable::Kind));
        assert_eq!(borrowed(RawFd::MAX).unwrap_err(), Unusable::Closed);
    }
}
