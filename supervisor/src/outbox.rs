//! The way of records to Apache, whose children write them into the right log ([`wsgi_wire::report`]). While no child
//! takes any, a bounded number waits here; records that wait in vain go to standard error, which is the main server's
//! error log.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::stdio::stderr;
use wsgi_unix::clock;
use wsgi_wire::codec::Wire;
use wsgi_wire::json::{self, Context};
use wsgi_wire::limits;
use wsgi_wire::record::{Format, LocalTime};
use wsgi_wire::report::GroupRecord;
use wsgi_wire::text;

/// How long records wait for an Apache child. During a graceful restart there is none for some tenths of a second.
const IN_VAIN: Duration = Duration::from_secs(10);

/// How long the last records wait at the end of this program, when the Apache parent reads them.
const AT_THE_END: Duration = Duration::from_secs(1);

/// How many bytes a pipe takes as a whole.
const AT_ONCE: usize = 4096;

/// A record that waits.
#[derive(Debug)]
struct Waiting {
    message: Vec<u8>,
    style: Style,
}

fn now() -> LocalTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LocalTime::at(since, clock::utc_offset(since))
}

impl Waiting {
    /// Writes the record to standard error.
    fn write_down(self) {
        let Self { message, style } = self;
        let Ok(GroupRecord { group, process, said }) = GroupRecord::from_bytes(&message) else { return };
        let line = match style.format {
            Format::Text => {
                text::lines(now(), &said.record, &GroupRecord { group, process, said: said.clone() }.prefix())
            }
            Format::Json => {
                let context = Context {
                    vhost: Some(&style.vhost),
                    process_group: Some(&*group).filter(|group| !group.is_empty()),
                    application_group: said.application_group.as_deref(),
                    request: None,
                };
                json::lines(now(), &said.record, &context).concat()
            }
        };
        // A log that cannot be written has nowhere to report it.
        let _ = write_without_waiting(line.as_bytes());
    }
}

/// The form in which a log wants its records.
#[derive(Debug, Clone)]
pub struct Style {
    /// The value of `WSGILogFormat`.
    pub format: Format,
    /// The `ServerName` of the virtual host.
    pub vhost: Vec<u8>,
}

/// All records that are on their way.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The end of the socket that this program sends into; `None` before the first configuration.
    socket: Option<OwnedFd>,
    /// Apache's end of the socket, from which records are taken back that Apache has not read when it is gone.
    other_end: Option<OwnedFd>,
    /// The form in which the last record was wanted.
    style: Option<Style>,
    waiting: VecDeque<Waiting>,
    /// How many bytes the waiting records have together.
    length: usize,
    /// When records began to wait in vain.
    in_vain: Option<Instant>,
}

impl Outbox {
    /// Sets both ends of Apache's socket for records.
    pub fn lead_to(&mut self, sends: OwnedFd, receives: OwnedFd) {
        (self.socket, self.other_end) = (Some(sends), Some(receives));
        self.send();
    }

    /// Whether there is room for records of processes. Those of this program itself always find some.
    pub fn has_room(&self) -> bool {
        self.length < limits::LOG_QUEUE
    }

    /// Sends a record, or keeps it until that is possible.
    pub fn put(&mut self, record: &GroupRecord, style: &Style) {
        let message = record.to_bytes();
        self.length += message.len();
        self.waiting.push_back(Waiting { message, style: style.clone() });
        self.style = Some(style.clone());
        self.send();
        if self.length > 2 * limits::LOG_QUEUE {
            self.write_down();
        }
    }

    /// Sends what can be sent now, and writes down what has waited in vain.
    pub fn send(&mut self) {
        while let Some(first) = self.waiting.front() {
            let sent = match &self.socket {
                Some(socket) => {
                    retry_on_intr(|| send(socket, &first.message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))
                }
                None => Err(Errno::NOTCONN),
            };
            match sent {
                Ok(_) => {
                    self.in_vain = None;
                    self.pop();
                }
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                    let since = *self.in_vain.get_or_insert_with(Instant::now);
                    if since.elapsed() < IN_VAIN {
                        return;
                    }
                    self.write_down();
                }
                // Apache is gone, or has never been there; or, what cannot be, the message is too long.
                Err(_) => self.write_first_down(),
            }
        }
        self.in_vain = None;
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.length -= first.message.len();
        Some(first)
    }

    fn write_down(&mut self) {
        while !self.waiting.is_empty() {
            self.write_first_down();
        }
    }

    /// Writes the oldest record to standard error, as the last resort.
    fn write_first_down(&mut self) {
        if let Some(first) = self.pop() {
            first.write_down();
        }
    }

    /// The descriptor to poll for writing; `None` if nothing waits.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }

    /// The moment to look again, although nothing has happened.
    pub fn wake(&self) -> Option<Instant> {
        self.in_vain.map(|since| since + IN_VAIN)
    }

    /// Empties the outbox at the end of this program. `taken`: the Apache parent is there, has the module, and takes
    /// what is sent.
    pub fn finish(&mut self, taken: bool) {
        let end = Instant::now() + AT_THE_END;
        loop {
            self.send();
            let left = end.saturating_duration_since(Instant::now());
            let (Some(socket), false) = (self.source(), left.is_zero()) else { break };
            // Whatever comes out of it is seen by the next send.
            let _ =
                poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)], Timespec::try_from(left).ok().as_ref());
        }
        if !taken {
            self.write_sent_down();
        }
        self.write_down();
    }

    /// Writes down what Apache has not taken, because it or the module is gone.
    fn write_sent_down(&mut self) {
        let (Some(socket), Some(style)) = (&self.other_end, &self.style) else { return };
        let mut buffer = vec![0; limits::LOG_MESSAGE];
        while let Ok((_, length)) = retry_on_intr(|| recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)) {
            let message = buffer.get(..length).unwrap_or_default().to_vec();
            // What an Apache child has sent to wake others is empty, and says nothing.
            Waiting { message, style: style.clone() }.write_down();
        }
    }
}

/// Writes a line to standard error, at one stroke where that is a file. A pipe that nobody reads does not stop this
/// program.
fn write_without_waiting(line: &[u8]) -> io::Result<()> {
    let is_file =
        rustix::fs::fstat(stderr()).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
    for piece in line.chunks(if is_file { line.len().max(1) } else { AT_ONCE }) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut [PollFd::from_borrowed_fd(stderr(), PollFlags::OUT)], Some(&now))? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        retry_on_intr(|| write(stderr(), piece))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use wsgi_wire::messages::Topic;
    use wsgi_wire::record::{LogRecord, Writer};

    fn record(text: &str) -> GroupRecord {
        let said = LogRecord::ours(Topic::INFO, Writer { pid: 1, thread: 1 }, text).into();
        GroupRecord { group: "g".into(), process: None, said }
    }

    #[test]
    fn records_wait_until_somebody_takes_them_and_stay_in_order() {
        let style = Style { format: Format::Text, vhost: Vec::new() };
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).unwrap();
        let mut outbox = Outbox::default();
        outbox.lead_to(ours, theirs.try_clone().unwrap());
        let long = "x".repeat(limits::LOG_RECORD / 2);
        let mut put = 0;
        while outbox.has_room() {
            outbox.put(&record(&format!("{put} {long}")), &style);
            put += 1;
        }
        assert!(outbox.source().is_some() && outbox.wake().is_some());
        assert!((limits::LOG_QUEUE..limits::LOG_QUEUE + limits::LOG_MESSAGE).contains(&outbox.length));
        let mut buffer = vec![0; limits::LOG_MESSAGE];
        for number in 0..put {
            let (_, length) = recv(&theirs, &mut buffer[..], RecvFlags::empty()).unwrap();
            let found = GroupRecord::from_bytes(&buffer[..length]).unwrap();
            assert!(found.said.record.message.starts_with(format!("{number} ").as_bytes()));
            outbox.send();
        }
        assert!(outbox.source().is_none() && outbox.wake().is_none() && outbox.length == 0);
    }

    #[test]
    fn what_this_process_says_itself_is_kept_up_to_a_bound_too() {
        let style = Style { format: Format::Text, vhost: Vec::new() };
        let mut outbox = Outbox::default();
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).unwrap();
        // Somebody who takes nothing, and has taken as much as fits.
        while send(&ours, &[0; 1000], SendFlags::DONTWAIT).is_ok() {}
        outbox.lead_to(ours, theirs);
        outbox.put(&record("one"), &style);
        let one = outbox.length;
        assert!(one > 0);
        outbox.length = 2 * limits::LOG_QUEUE - one;
        outbox.put(&record("two"), &style);
        assert_eq!((outbox.length, outbox.waiting.len()), (2 * limits::LOG_QUEUE, 2));
        outbox.put(&record("written to standard error"), &style);
        assert!(outbox.waiting.is_empty());
    }
}
