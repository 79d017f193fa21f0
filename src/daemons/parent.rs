//! The Apache parent's side of the supervisor: start it, tell it the configuration, stop it.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use wsgi_unix::timespec::timespec;
use wsgi_wire::codec::Wire;
use wsgi_wire::control::Configure;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;

use super::installation::Supervisor;
use super::{current, records};
use crate::httpd::control::{self, Memory};
use crate::httpd::records::Socket;
use crate::httpd::shared::pages::Pages;

/// Everything that is needed to start the supervisor, again if it dies.
pub struct Launch {
    /// The supervisor's program.
    pub supervisor: Supervisor,
    /// The memory that the parent and the supervisor share.
    pub memory: Memory,
    /// The pages of each group, in their order.
    pub pages: Vec<Pages>,
    /// The configuration that the supervisor is told.
    pub configure: Configure,
    /// The main server's error log, for the supervisor's last words.
    pub error_log: OwnedFd,
    /// The socket by which the supervisor's records come to Apache.
    pub records: Socket,
    /// The socket for what a collector of OpenTelemetry is told; `None` without `WSGIOpenTelemetry`.
    pub export: Option<Socket>,
}

static LAUNCH: Mutex<Option<Launch>> = Mutex::new(None);

/// Starts the supervisor unless it runs, tells it the configuration, and keeps that for another start.
///
/// # Errors
/// Why it could not be started or told.
pub fn launch(launch: Launch) -> io::Result<()> {
    let outcome = tell(&launch).or_else(|_| {
        control::kill();
        start(&launch)
    });
    *LAUNCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(launch);
    outcome
}

/// Starts another supervisor with the last configuration, after one has died.
///
/// # Errors
/// As [`launch`].
pub fn relaunch() -> io::Result<()> {
    match LAUNCH.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(launch) => start(launch),
        None => Ok(()),
    }
}

/// Forgets the configuration: it is about to be read anew. The supervisor hears of it, because this module may not be
/// in the new one.
pub fn forget() {
    let mut message = Vec::new();
    if let (Some(supervisor), Ok(())) = (control::supervisor(), frame::put(&mut message, Kind::Reading, |_| {})) {
        // One that is gone is started anew by the next configuration.
        let _ = send(supervisor, &message, &[]);
    }
    *LAUNCH.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Tells the supervisor that this process serves requests itself (`httpd -X`), and so gives up the rights of a parent:
/// an application in it must not tell a supervisor that has these rights what to start.
pub fn tell_settled() {
    let mut message = Vec::new();
    if let (Some(supervisor), Ok(())) = (control::supervisor(), frame::put(&mut message, Kind::Settled, |_| {})) {
        if send(supervisor, &message, &[]).is_err() {
            // One that cannot be told must not listen.
            control::leave_to_parent();
        }
    }
}

fn start(launch: &Launch) -> io::Result<()> {
    use std::os::fd::AsFd;
    let program = launch.supervisor.checked().map_err(io::Error::other)?;
    control::start(program, launch.memory, Some(launch.error_log.as_fd()))
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    tell(launch)
}

/// Sends the configuration to a running supervisor.
fn tell(launch: &Launch) -> io::Result<()> {
    use std::os::fd::AsFd;
    let supervisor = control::supervisor().filter(|_| !control::has_ended()).ok_or(io::ErrorKind::NotConnected)?;
    let mut message = Vec::new();
    frame::put(&mut message, Kind::Configure, |out| launch.configure.put(out)).map_err(io::Error::other)?;
    let pages = launch.pages.iter().map(|pages| -> BorrowedFd<'_> { pages.fd() });
    let descriptors: Vec<BorrowedFd<'_>> = [launch.error_log.as_fd(), launch.records.sends, launch.records.receives]
        .into_iter()
        .chain(launch.export.into_iter().flat_map(|socket| [socket.sends, socket.receives]))
        .chain(pages)
        .collect();
    send(supervisor, &message, &descriptors)
}

/// Sends a message and its descriptors. The descriptors travel with the first bytes of the message: each byte takes as
/// many of them as one message may have.
fn send(socket: BorrowedFd<'_>, mut message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut batches = descriptors.chunks(limits::PASSED);
    while !message.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::PASSED))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let batch = batches.next();
        if batch.is_some_and(|batch| !ancillary.push(SendAncillaryMessage::ScmRights(batch))) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let bytes = if batch.is_some() { &message[..1] } else { message };
        let sent =
            rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL))?;
        message = &message[sent..];
    }
    match batches.next() {
        None => Ok(()),
        Some(_) => Err(io::Error::other("there are more descriptors than bytes to send them with")),
    }
}

/// Stops the supervisor and all processes, and waits for that, up to the longest time that they may take and no longer.
/// Writes what they say meanwhile: nobody else is left to do it.
pub fn stop() {
    /// The time that the supervisor itself needs to end, beyond that of its processes.
    const GRACE: Duration = Duration::from_secs(2);
    let Some(supervisor) = control::supervisor() else { return };
    let runtime = current();
    let write_records = || runtime.iter().for_each(|runtime| records::write_all(runtime));
    let receives = runtime.as_ref().and_then(|runtime| runtime.records).map(|socket| socket.receives);
    let longest = LAUNCH
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .and_then(|l| l.configure.groups.iter().map(|g| stop_wait(g.daemon.shutdown_timeout)).max())
        .unwrap_or(0);
    let deadline = Instant::now() + Duration::from_secs(longest.into()) + GRACE;
    let mut message = Vec::new();
    let told = frame::put(&mut message, Kind::Stop, |_| {}).is_ok() && send(supervisor, &message, &[]).is_ok();
    if told && hung_up(supervisor, receives, deadline, write_records) {
        // The socket is closed when the process ends; reaping it takes a moment more.
        while !control::has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    control::kill();
    write_records();
    records::wait_for_log_programs();
}

/// How long, in seconds, the supervisor waits for the end of a process with this `shutdown-timeout`.
fn stop_wait(shutdown_timeout: u32) -> u32 {
    if shutdown_timeout == 0 { limits::STOP } else { shutdown_timeout }
}

/// Waits until the other end has closed the socket. `write` is called when there is something to receive.
fn hung_up(socket: BorrowedFd<'_>, receives: Option<BorrowedFd<'_>>, deadline: Instant, write: impl Fn()) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let mut watched = vec![PollFd::new(&socket, PollFlags::empty())];
        watched.extend(receives.as_ref().map(|receives| PollFd::new(receives, PollFlags::IN)));
        match poll(&mut watched, Some(&timespec(left))) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) if !watched[0].revents().is_empty() => return true,
            Ok(_) => write(),
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    /// How many descriptors come with each read of a message that is sent with so many.
    fn received(count: usize, message: &[u8]) -> io::Result<Vec<usize>> {
        let (ours, theirs) = UnixStream::pair()?;
        let passed = vec![ours.as_fd(); count];
        send(ours.as_fd(), message, &passed)?;
        (&ours).write_all(b".")?;
        let (mut found, mut read) = (Vec::new(), Vec::new());
        while !read.ends_with(b".") {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::PASSED))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut buffer = [0; 64];
            let message =
                recvmsg(&theirs, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
            read.extend_from_slice(&buffer[..message.bytes]);
            let rights = ancillary.drain().map(|message| match message {
                RecvAncillaryMessage::ScmRights(passed) => passed.count(),
                _ => 0,
            });
            found.extend(rights);
        }
        assert_eq!(read, [message, b"."].concat());
        Ok(found)
    }

    #[test]
    fn as_many_descriptors_travel_with_one_byte_as_the_system_takes() {
        let max = limits::PASSED;
        for (count, expected) in [(0, &[][..]), (max, &[max]), (max + 1, &[max, 1]), (2 * max + 1, &[max, max, 1])] {
            assert_eq!(received(count, b"message").unwrap(), expected, "{count}");
        }
        assert!(received(max + 1, b"m").is_err(), "there are no bytes for the second batch");
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (mut space, too_many) =
            ([MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::PASSED + 1))], vec![ours.as_fd(); max + 1]);
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&too_many)));
        let refused = sendmsg(&ours, &[IoSlice::new(b"m")], &mut ancillary, SendFlags::NOSIGNAL);
        assert_eq!(refused, Err(Errno::INVAL), "the system takes no more");
    }

    #[test]
    fn a_group_without_a_limit_is_waited_for_as_long_as_the_supervisor_waits() {
        assert_eq!([stop_wait(0), stop_wait(1), stop_wait(limits::STOP + 1)], [limits::STOP, 1, limits::STOP + 1]);
    }
}
