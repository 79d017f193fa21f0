//! One connection to a daemon process, and what it has been told already.
#![forbid(unsafe_code)]

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, sendmsg,
    socket_with, sockopt,
};
use wsgi_unix::fork::Unshared;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::request::Hello;

use super::inbox::{Inbox, Received};
use super::ring::Ring;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub struct Connection {
    /// The socket. Programs that an application forks off this child, in embedded mode, do not get it.
    pub stream: Unshared<UnixStream>,
    /// The number of the process among those that its slot has had.
    pub serial: u32,
    /// How long a read waits if nobody has changed that; zero is without end.
    usual_wait: Duration,
    /// The frame that is sent before anything else, until it has been sent.
    hello: Option<Hello>,
    /// The numbers of its exchanges.
    exchanges: Exchanges,
    routes: Routes,
    /// The memory for content, once the process has made some.
    pub ring: OnceCell<Ring>,
}

/// The routes that a connection has announced, by content.
#[derive(Debug, Default)]
struct Routes {
    known: HashMap<Box<[u8]>, u16>,
    /// The route of the last request. Most connections serve one route: it is compared first, without hashing.
    last: Option<(Box<[u8]>, u16)>,
}

/// Numbers of the exchanges on a connection. Each is drawn, so that an application that writes to its connection by
/// itself cannot answer a request which has not come yet.
#[derive(Debug, Default)]
struct Exchanges {
    drawn: [u8; 32],
    left: usize,
    current: u16,
}

impl Exchanges {
    /// Begins an exchange: its number is neither that of the last one nor 0.
    fn begin(&mut self) {
        let last = self.current;
        while [0, last].contains(&self.current) {
            if self.left == 0 {
                // What a system without random numbers leaves is foretold, but differs from the last one all the same.
                if rustix::rand::getrandom(&mut self.drawn, rustix::rand::GetRandomFlags::empty()).is_err() {
                    self.current = last.wrapping_add(1).max(1);
                    return;
                }
                self.left = self.drawn.len() / 2;
            }
            self.left -= 1;
            self.current = u16::from_ne_bytes([self.drawn[2 * self.left], self.drawn[2 * self.left + 1]]);
        }
    }
}

/// Refuses a socket that another user has made: what follows is the process's secret and a client's request. The system
/// tells who has begun to listen: the supervisor, which is root's or of this user.
fn check_maker(stream: &UnixStream) -> io::Result<()> {
    let maker = sockopt::socket_peercred(stream)?.uid;
    if maker.is_root() || maker == rustix::process::geteuid() {
        return Ok(());
    }
    let text = format!("the socket was made by the user with uid {}, who is neither root nor Apache's", maker.as_raw());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

impl Connection {
    /// Connects to a process. `wait` is how long a read or a write waits.
    ///
    /// # Errors
    /// Those of `connect`: the process is gone; or `WouldBlock`: its backlog is full (`listen-backlog`).
    pub fn open(path: &str, serial: u32, secret: u64, wait: Duration, buffers: (u32, u32)) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map(UnixStream::from);
        let stream = Unshared::make(socket)?;
        connect(&stream, &SocketAddrUnix::new(path)?)?;
        check_maker(&stream)?;
        rustix::io::ioctl_fionbio(&stream, false)?;
        stream.set_read_timeout(Some(wait).filter(|t| !t.is_zero()))?;
        stream.set_write_timeout(Some(wait).filter(|t| !t.is_zero()))?;
        let (send, receive) = buffers;
        if send > 0 {
            sockopt::set_socket_send_buffer_size(&stream, send as usize)?;
        }
        if receive > 0 {
            sockopt::set_socket_recv_buffer_size(&stream, receive as usize)?;
        }
        let mut connection = Self::over(stream, serial, secret);
        connection.usual_wait = wait;
        Ok(connection)
    }

    /// Lets reads wait this long, or, with `None`, as long as usual.
    pub fn wait_for(&self, time: Option<Duration>) {
        let time = time.unwrap_or(self.usual_wait);
        // A socket that does not take it has failed, which the next read tells.
        let _ = self.stream.set_read_timeout(Some(time).filter(|t| !t.is_zero()));
    }

    /// How long a read waits usually; zero is without end.
    pub fn usual_wait(&self) -> Duration {
        self.usual_wait
    }

    /// Makes a connection of a socket that is connected already.
    pub fn over(stream: impl Into<Unshared<UnixStream>>, serial: u32, secret: u64) -> Self {
        let hello = Some(Hello { version: wsgi_wire::VERSION, secret });
        let (routes, exchanges) = (Routes::default(), Exchanges::default());
        Self {
            stream: stream.into(),
            serial,
            usual_wait: Duration::ZERO,
            hello,
            exchanges,
            routes,
            ring: OnceCell::new(),
        }
    }

    /// The number of the latest exchange; 0 before the first.
    pub fn exchange(&self) -> u16 {
        self.exchanges.current
    }

    /// Begins an exchange, and what is sent for it: `Hello` and `Route` if they are due. Gives the number of the route
    /// whose content is `route`.
    ///
    /// # Errors
    /// [`BeginError`]
    pub fn begin(&mut self, route: &[u8], out: &mut Vec<u8>) -> Result<u16, BeginError> {
        if let Some(hello) = self.hello.take() {
            frame::put(out, Kind::Hello, |out| hello.put(out))?;
        }
        self.exchanges.begin();
        if let Some(ring) = self.ring.get() {
            ring.begin();
        }
        self.routes.announce(route, out)
    }

    /// Forgets what has been announced: nothing follows for which it would count.
    pub fn forget_routes(&mut self) {
        self.routes = Routes::default();
    }

    /// Sends the two parts of a message, one after the other. When a write has waited for its time, `go_on` is asked
    /// whether to wait on.
    ///
    /// # Errors
    /// Those of `write`; `WouldBlock` if it is not to wait on. The process has not got the whole message then.
    pub fn send(&self, message: [&[u8]; 2], go_on: impl Fn() -> bool) -> io::Result<()> {
        let mut parts = message.map(IoSlice::new);
        let mut rest = parts.as_mut_slice();
        // Drops what is empty.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match sendmsg(&*self.stream, rest, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if go_on() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Connection {
    /// Takes what nobody has read. If there are connections in it that the process has passed, closing them could take
    /// as long as that process likes, at a time that may be anybody's by now. Behind the end of the reading side
    /// nothing more comes.
    fn drop(&mut self) {
        // A process that is gone has left behind what it has sent all the same.
        let _ = self.stream.shutdown(Shutdown::Both);
        let mut left = Inbox::default();
        while matches!(left.receive(&self.stream, false), Ok(Received::Bytes)) {
            left.clear();
        }
    }
}

/// Why a request cannot begin on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginError {
    /// It has announced as many routes as the protocol has numbers for.
    RoutesExhausted,
    /// The route does not fit into a frame.
    TooLong,
}

impl From<DecodeError> for BeginError {
    fn from(_: DecodeError) -> Self {
        Self::TooLong
    }
}

impl Routes {
    fn announce(&mut self, route: &[u8], out: &mut Vec<u8>) -> Result<u16, BeginError> {
        if let Some((_, id)) = self.last.as_ref().filter(|(last, _)| **last == *route) {
            return Ok(*id);
        }
        let id = match self.known.get(route) {
            Some(id) => *id,
            None => self.add(route, out)?,
        };
        self.last = Some((route.into(), id));
        Ok(id)
    }

    fn add(&mut self, route: &[u8], out: &mut Vec<u8>) -> Result<u16, BeginError> {
        let id = u16::try_from(self.known.len()).ok().filter(|id| *id < limits::ROUTES);
        let id = id.ok_or(BeginError::RoutesExhausted)?;
        frame::put(out, Kind::Route, |out| {
            id.put(out);
            out.extend_from_slice(route);
        })?;
        self.known.insert(route.into(), id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(mut data: &[u8]) -> Vec<Kind> {
        let mut kinds = Vec::new();
        while let Ok(Some(frame)) = frame::first(data) {
            kinds.push(frame.kind);
            data = &data[frame.size()..];
        }
        kinds
    }

    fn connection() -> Connection {
        Connection::over(UnixStream::pair().unwrap().0, 1, 42)
    }

    /// Listens as another user until it is killed.
    const STRANGER: &str = "import os, socket, sys, time\n\
        os.setuid(65534)\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.bind(sys.argv[1])\n\
        s.listen()\n\
        time.sleep(60)";

    #[test]
    fn only_root_and_ones_own_user_are_spoken_to() {
        let directory = std::env::temp_dir().join(format!("wsgi-maker-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let second = Duration::from_secs(1);
        let open = |name: &str| Connection::open(directory.join(name).to_str().unwrap(), 1, 42, second, (0, 0));
        let _own = std::os::unix::net::UnixListener::bind(directory.join("own")).unwrap();
        assert!(open("own").is_ok());
        // Only root can be somebody else.
        if rustix::process::geteuid().is_root() {
            let mut stranger = std::process::Command::new("python3");
            let mut stranger = stranger.arg("-c").arg(STRANGER).arg(directory.join("other")).spawn().unwrap();
            let end = std::time::Instant::now() + Duration::from_secs(50);
            let refused = loop {
                match open("other") {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break true,
                    Err(_) if std::time::Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                    _ => break false,
                }
            };
            stranger.kill().unwrap();
            stranger.wait().unwrap();
            assert!(refused);
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn hello_and_routes_are_said_once() {
        let mut c = connection();
        let mut began = |route: &[u8]| {
            let mut out = Vec::new();
            let id = c.begin(route, &mut out).unwrap();
            (id, kinds(&out))
        };
        assert_eq!(began(b"a"), (0, vec![Kind::Hello, Kind::Route]));
        assert_eq!(began(b"a"), (0, vec![]));
        assert_eq!(began(b"b"), (1, vec![Kind::Route]));
        assert_eq!(began(b"a"), (0, vec![]));
    }

    #[test]
    fn each_exchange_has_a_number_that_differs_from_the_last_one() {
        let (mut c, mut last) = (connection(), 0);
        let mut far = 0;
        for _ in 0..1000 {
            c.begin(b"a", &mut Vec::new()).unwrap();
            assert!(c.exchange() != 0 && c.exchange() != last);
            far += u32::from(c.exchange().abs_diff(last) > 100);
            last = c.exchange();
        }
        assert!(far > 900, "nobody knows the next one");
    }

    #[test]
    fn numbers_run_out() {
        let mut c = connection();
        for n in 0..limits::ROUTES {
            assert_eq!(c.begin(&n.to_ne_bytes(), &mut Vec::new()), Ok(n));
        }
        assert_eq!(c.begin(b"one more", &mut Vec::new()), Err(BeginError::RoutesExhausted));
        assert_eq!(c.begin(&5u16.to_ne_bytes(), &mut Vec::new()), Ok(5));
    }
}
