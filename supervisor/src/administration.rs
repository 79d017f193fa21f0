//! The administrator's socket: the owner of the server may ask for the processes of groups to be replaced and hears how
//! that goes, or may ask for the state of the server.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use rustix::process::geteuid;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control::{Outcome, Restart, Restarted};
use wsgi_wire::frame::Kind;
use wsgi_wire::status::Status;
use wsgi_wire::table::control_path;

use crate::channel::Channel;
use crate::configuration::Configuration;
use crate::listener::{self, SocketFile};

/// How many administrators there may be at a time.
const MAX: usize = 16;

/// The socket, and the administrators who are connected.
#[derive(Debug, Default)]
pub struct Administration {
    socket: Option<(OwnedFd, SocketFile)>,
    administrators: Vec<Administrator>,
}

/// A connected administrator.
#[derive(Debug)]
struct Administrator {
    channel: Channel,
    /// The groups that are being restarted for this administrator, with the moments of the requests.
    waiting: Vec<(Vec<u8>, Instant)>,
}

impl Administration {
    /// Listens where this configuration has it.
    ///
    /// # Errors
    /// If the socket cannot be made: then there is none.
    pub fn open(&mut self, configuration: &Configuration) -> io::Result<()> {
        let path = control_path(&configuration.socket_prefix, configuration.parent);
        if self.socket.as_ref().is_some_and(|(_, file)| file.is_at(&path)) {
            return Ok(());
        }
        self.socket = None;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Left from a parent that had our parent's pid.
        listener::remove(Path::new(&path))?;
        bind(&socket, &SocketAddrUnix::new(&path)?)?;
        let file = SocketFile::of(path.clone().into());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listen(&socket, MAX as i32)?;
        self.socket = Some((socket, file));
        Ok(())
    }

    /// The descriptors that the poll loop waits at.
    pub fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let socket = self.socket.iter().map(|(socket, _)| socket.as_fd());
        socket.chain(self.administrators.iter().map(|administrator| administrator.channel.as_fd()))
    }

    /// Reads what administrators ask for. Returns the groups to be restarted: all of `groups` where none is named. An
    /// administrator who asks for the status gets it and is done: the answer has room in the socket.
    pub fn hear(&mut self, groups: &[Vec<u8>], status: impl Fn() -> Status) -> Vec<Vec<u8>> {
        self.accept();
        let mut wanted = Vec::new();
        self.administrators.retain_mut(|administrator| {
            let open = administrator.channel.receive();
            // Who does not keep to the protocol is of another version.
            administrator.listen(groups, &mut wanted, &status).is_ok_and(|goes_on| goes_on) && open
        });
        wanted
    }

    fn accept(&mut self) {
        let Some((socket, _)) = &self.socket else { return };
        while let Ok(peer) = accept_with(socket, SocketFlags::CLOEXEC) {
            // The mode of the file says the same, but not on every system.
            let user = socket_peercred(&peer).map(|peer| peer.uid);
            let may = user.is_ok_and(|user| user.is_root() || user == geteuid());
            let channel = Channel::new(UnixStream::from(peer));
            if let (true, Ok(channel), true) = (may, channel, self.administrators.len() < MAX) {
                self.administrators.push(Administrator { channel, waiting: Vec::new() });
            }
        }
    }

    /// Tells each administrator what has become of the groups that they wait for. `outcome` returns that as soon as it
    /// is certain.
    pub fn tell(&mut self, outcome: impl Fn(&[u8], Instant) -> Option<Outcome>) {
        self.administrators.retain_mut(|administrator| {
            let Administrator { channel, waiting } = administrator;
            let before = waiting.len();
            let mut sound = true;
            waiting.retain(|(group, since)| match outcome(group, *since) {
                Some(outcome) => {
                    let news = Restarted { group: group.as_slice().into(), outcome };
                    sound &= channel.send(Kind::Restarted, &news.to_bytes()).is_ok();
                    false
                }
                None => true,
            });
            // Closing tells that this was all.
            sound && (before == 0 || !waiting.is_empty())
        });
    }
}

impl Administrator {
    /// Reads from one administrator. Returns whether the connection may go on.
    fn listen(
        &mut self,
        groups: &[Vec<u8>],
        wanted: &mut Vec<Vec<u8>>,
        status: impl Fn() -> Status,
    ) -> Result<bool, DecodeError> {
        while let Some((kind, payload)) = self.channel.next()? {
            let chosen = match kind {
                Kind::Restart => match Restart::from_bytes(&payload)?.group {
                    Some(group) => vec![group.0],
                    None => groups.to_vec(),
                },
                Kind::Ask if self.waiting.is_empty() => {
                    self.channel.send(Kind::Status, &status().to_bytes())?;
                    return Ok(false);
                }
                kind => return Err(DecodeError::Unknown(kind as u64)),
            };
            let now = Instant::now();
            self.waiting.extend(chosen.iter().map(|group| (group.clone(), now)));
            wanted.extend(chosen);
        }
        Ok(true)
    }
}
