//! Notifications to systemd about the server as its service (`Type=notify`): that it is ready when every application is
//! loaded, that it reloads, that it stops, and that it lives.
//!
//! Apache's parent, the service's main process, has nobody to ask whether applications are loaded, and looks up once in
//! ten seconds: so the supervisor sends these, which `NotifyAccess=all` allows.

use std::env;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use wsgi_unix::clock;

/// The variable with the address of systemd's socket. The control script renames systemd's own variable, so that no
/// other process of the server answers for it.
const SOCKET: &str = "MOD_WSGI_NOTIFY_SOCKET";
/// The variable with the time, in microseconds, within which systemd wants to hear that the server lives.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// How soon a notification that could not be sent is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The condition of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Processes of a group, or of the current configuration of it, are not there yet.
    Loading {
        /// The name of the first such group.
        group: String,
        /// Whether its application cannot be loaded.
        failing: bool,
    },
    /// All groups have their processes.
    Ready,
    /// The server stops.
    Stopping,
}

/// The connection to systemd, if it has started the server and wants to hear of it.
#[derive(Debug, Default)]
pub struct Notifier {
    way: Option<(UnixDatagram, SocketAddr)>,
    /// Half of the time within which systemd wants to hear something.
    watchdog: Option<Duration>,
    /// When systemd is told something again.
    next: Option<Instant>,
    told: Option<Condition>,
    /// Whether systemd has once been told that the server is ready.
    was_ready: bool,
}

impl Notifier {
    /// Connects as the environment says.
    pub fn from_environment() -> Self {
        let way = env::var_os(SOCKET).and_then(|path| way(path.as_bytes()).ok());
        let watchdog = env::var(WATCHDOG).ok().and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        Self {
            watchdog: way.as_ref().and(watchdog).map(|micros| Duration::from_micros(micros) / 2),
            way,
            ..Self::default()
        }
    }

    /// When to tell systemd something next.
    pub fn wake(&self) -> Option<Instant> {
        self.next
    }

    /// Tells systemd what is new, and that this process lives.
    pub fn tell(&mut self, condition: impl FnOnce() -> Condition) {
        if self.way.is_none() {
            return;
        }
        let (now, condition) = (Instant::now(), condition());
        let mut message = Vec::new();
        if self.told.as_ref() != Some(&condition) {
            message.push(self.news(&condition));
        }
        if self.watchdog.is_some() && self.next.is_none_or(|next| next <= now) {
            message.push("WATCHDOG=1".to_owned());
        }
        if message.is_empty() {
            return;
        }
        if self.send(&message.join("\n")).is_ok() {
            self.was_ready |= condition == Condition::Ready;
            self.told = Some(condition);
            self.next = self.watchdog.map(|interval| now + interval);
        } else {
            self.next = Some(now + AGAIN);
        }
    }

    fn news(&self, condition: &Condition) -> String {
        match condition {
            Condition::Ready => "READY=1\nSTATUS=all applications are loaded".to_owned(),
            Condition::Stopping => "STOPPING=1".to_owned(),
            Condition::Loading { group, failing } => {
                let group: String = group.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
                let status = if *failing {
                    format!("STATUS=process group {group} cannot load its application; the error log says why")
                } else {
                    format!("STATUS=process group {group} loads its application")
                };
                let reloads = self.was_ready && !matches!(self.told, Some(Condition::Loading { .. }));
                if reloads { format!("RELOADING=1\nMONOTONIC_USEC={}\n{status}", microseconds()) } else { status }
            }
        }
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let Some((socket, address)) = &self.way else { return Ok(()) };
        socket.send_to_addr(message.as_bytes(), address).map(drop)
    }
}

/// Makes a socket, and the address of systemd's: a path, or after `@` an abstract name.
fn way(path: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The time on the clock that systemd compares with.
fn microseconds() -> u64 {
    clock::monotonic().as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).unwrap_or(0);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn loading(failing: bool) -> Condition {
        Condition::Loading { group: "a\nb".to_owned(), failing }
    }

    #[test]
    fn systemd_hears_each_change_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        let mut notifier = Notifier { way: way(path.as_os_str().as_bytes()).ok(), ..Notifier::default() };
        for (condition, begins) in [
            (loading(false), "STATUS=process group a?b loads"),
            (loading(false), ""),
            (loading(true), "STATUS=process group a?b cannot load"),
            (Condition::Ready, "READY=1\n"),
            (Condition::Ready, ""),
            (loading(false), "RELOADING=1\nMONOTONIC_USEC="),
            (loading(true), "STATUS=process group a?b cannot load"),
            (Condition::Ready, "READY=1\n"),
            (Condition::Stopping, "STOPPING=1"),
        ] {
            notifier.tell(|| condition.clone());
            let text = heard(&systemd);
            assert!(text.starts_with(begins) && text.is_empty() == begins.is_empty(), "{condition:?}: {text:?}");
        }
    }

    #[test]
    fn the_watchdog_is_fed_twice_in_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let watchdog = Some(Duration::from_secs(60));
        let mut notifier = Notifier { way: way(path.as_os_str().as_bytes()).ok(), watchdog, ..Notifier::default() };
        notifier.tell(|| Condition::Ready);
        assert!(heard(&systemd).ends_with("\nWATCHDOG=1"));
        assert!(notifier.wake().is_some_and(|next| next > Instant::now() + Duration::from_secs(50)));
        notifier.next = Some(Instant::now());
        notifier.tell(|| Condition::Ready);
        assert_eq!(heard(&systemd), "WATCHDOG=1");
    }
}
