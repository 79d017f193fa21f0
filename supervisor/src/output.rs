//! The output of daemon processes outside of requests: by a pipe, which is their standard output and error, and by a
//! socket, on which the engine sends whole records. Both are read without waiting and no faster than a process may log;
//! a process that writes more has to wait.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{Gid, OFlags, Uid, fchown, fcntl_setfl};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketFlags, SocketType, recvmsg,
    socketpair, sockopt,
};
use rustix::pipe::{PipeFlags, pipe_with};
use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control::Identity;
use wsgi_wire::limits::{LOG_BURST, LOG_MESSAGE, LOG_PREFIX, LOG_RATE};
use wsgi_wire::lines::{Lines, Text};
use wsgi_wire::messages::processes;
use wsgi_wire::pieces::written;
use wsgi_wire::record::{Stream, Writer};
use wsgi_wire::report::ProcessRecord;

use crate::configuration::Group;

/// How long a line, or a traceback that may be continued, waits for the rest.
const CONTINUATION_WAIT: Duration = Duration::from_millis(500);

/// How many bytes are read from one process at a time, so that one that writes much does not keep the others waiting.
const AT_A_TIME: usize = 64 << 10;

/// How many bytes are read of what a process has left behind: more than pipe and socket hold.
const LEFT_BEHIND: usize = 1 << 20;

/// How many processes that have ended are listened to, because they may have left children behind that still write.
const SURVIVORS: usize = 64;

/// The ends of pipe and socket that a new process gets.
#[derive(Debug)]
pub struct Ends {
    /// The standard output and error.
    pub pipe: OwnedFd,
    /// The socket for the engine's records.
    pub socket: OwnedFd,
}

/// The budget of a group for its output: all its processes, those of before, and what these have forked, together.
#[derive(Debug)]
struct GroupBudget {
    used: Budget,
    since: Instant,
}

/// The output of one process.
#[derive(Debug)]
pub struct Output {
    pid: u32,
    group: Rc<Group>,
    /// The pipe, until all processes that have the other end have closed it.
    pipe: Option<OwnedFd>,
    /// The socket, likewise; children of the process that execute a program do not have it.
    socket: Option<OwnedFd>,
    lines: Lines,
    /// When a part of a line came that is not complete.
    unfinished: Option<Instant>,
    /// The budget of its group.
    budget: Rc<GroupBudget>,
    /// Whether the log says that the process has to wait.
    told: bool,
    /// Whether the process has ended; its children may still hold the other ends.
    over: bool,
}

/// This program's ends for a process that is about to be started.
#[derive(Debug)]
pub struct Prepared {
    pipe: OwnedFd,
    socket: OwnedFd,
}

/// Makes pipe and socket. The process's user owns the pipe, so that it can be opened again as `/dev/stderr`.
///
/// # Errors
/// Those of the system calls.
pub fn prepare(identity: Option<&Identity>) -> io::Result<(Prepared, Ends)> {
    let (pipe, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    if let Some(identity) = identity {
        fchown(&theirs, Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)))?;
    }
    let (socket, records) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_passcred(&socket, true)?;
    Ok((Prepared { pipe, socket }, Ends { pipe: theirs, socket: records }))
}

/// One message on the socket for records.
struct Message {
    length: usize,
    /// The process that has sent the message, as the kernel says.
    sender: Option<u32>,
    /// Whether a descriptor came along, which is lost.
    stray: bool,
}

/// Receives one message, without waiting.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Message, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let sender = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.pid.as_raw_pid() as u32),
        _ => None,
    });
    Ok(Message { length: message.bytes, sender, stray: message.flags.contains(ReturnFlags::CTRUNC) })
}

impl Output {
    fn new(pid: u32, group: Rc<Group>, budget: Rc<GroupBudget>, ends: Prepared) -> Self {
        let Prepared { pipe, socket } = ends;
        Self {
            pid,
            group,
            pipe: Some(pipe),
            socket: Some(socket),
            lines: Lines::EMPTY,
            unfinished: None,
            budget,
            told: false,
            over: false,
        }
    }

    /// Reads once from both, if the process may write more now. Returns how many bytes of log that is.
    fn hear(&mut self, buffer: &mut Vec<u8>) -> usize {
        let heard = self.hear_records(buffer) + self.hear_text(buffer);
        self.budget.used.charge(self.rate(), heard, self.budget.since.elapsed());
        if !self.wait().is_zero() && !std::mem::replace(&mut self.told, true) {
            let text = format!(
                "daemon process {} of group '{}' says more than {} MiB at once and {} MiB a second for each process; the group has to wait until that is written",
                self.pid,
                self.group.label(),
                LOG_BURST >> 20,
                LOG_RATE >> 20
            );
            self.group.log.record(&processes::LOUD_LOG, &text);
        }
        heard
    }

    fn rate(&self) -> Rate {
        Rate::of_log(self.group.settings.processes)
    }

    /// How long until the process may write more.
    fn wait(&self) -> Duration {
        self.budget.used.wait(self.rate(), self.budget.since.elapsed())
    }

    fn hear_records(&mut self, buffer: &mut Vec<u8>) -> usize {
        let mut heard = 0;
        while heard < AT_A_TIME {
            let Some(socket) = &self.socket else { break };
            buffer.resize(LOG_MESSAGE, 0);
            match retry_on_intr(|| receive(socket, buffer)) {
                Ok(Message { length: 0, .. }) => self.socket = None,
                Ok(Message { length, sender, stray }) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    let said = if stray { Err(DecodeError::Descriptor) } else { ProcessRecord::from_bytes(message) };
                    match said {
                        Ok(said) => {
                            heard += said.cost();
                            self.say(sender.unwrap_or(self.pid), said);
                        }
                        // Not the engine's: nothing more is taken for its words.
                        Err(error) => {
                            self.socket = None;
                            let text = format!(
                                "daemon process {} of group '{}' has sent a record that is malformed ({error}); no more are taken from it",
                                self.pid,
                                self.group.label()
                            );
                            self.group.log.record(&processes::MALFORMED_RECORD, &text);
                        }
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(_) => self.socket = None,
            }
        }
        heard
    }

    fn hear_text(&mut self, buffer: &mut Vec<u8>) -> usize {
        let Some(pipe) = &self.pipe else { return 0 };
        buffer.resize(AT_A_TIME, 0);
        match retry_on_intr(|| read(pipe, &mut buffer[..])) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                let text = &buffer[..length];
                self.with_lines(|lines, sink| lines.write(text, true, sink));
                self.unfinished = (self.lines.unfinished() > 0).then(Instant::now);
                return written(text) + text.iter().filter(|b| **b == b'\n').count() * LOG_PREFIX;
            }
            Err(Errno::AGAIN) => {}
            Err(_) => self.pipe = None,
        }
        0
    }

    /// Writes a record of the process, or of one that it has forked.
    fn say(&self, pid: u32, said: ProcessRecord) {
        let is_thread = |thread| Path::new(&format!("/proc/{pid}/task/{thread}")).exists();
        let record = said.record.of_process(pid, is_thread);
        for piece in (ProcessRecord { record, ..said }).into_pieces() {
            self.group.log.of_process(pid, piece);
        }
    }

    fn with_lines(&mut self, step: impl FnOnce(&mut Lines, &mut dyn FnMut(Text<'_>))) {
        let writer = Writer { pid: self.pid, thread: self.pid };
        let (group, pid) = (&self.group, self.pid);
        step(&mut self.lines, &mut |text| {
            for piece in ProcessRecord::from(text.record(Stream::Stderr, writer)).into_pieces() {
                group.log.of_process(pid, piece);
            }
        });
    }

    /// Writes what there is of a line, or of a traceback, whose rest has not come.
    fn end_lines(&mut self) {
        self.with_lines(Lines::end);
        self.unfinished = None;
    }

    /// Whether anything may still come.
    fn is_open(&self) -> bool {
        !self.over || self.pipe.is_some() || self.socket.is_some()
    }

    /// The descriptors to poll for reading.
    fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.pipe, &self.socket].into_iter().flatten().map(AsFd::as_fd)
    }
}

/// The output of all processes.
#[derive(Debug, Default)]
pub struct Outputs {
    all: Vec<Output>,
    budgets: HashMap<Vec<u8>, Rc<GroupBudget>>,
    buffer: Vec<u8>,
}

impl Outputs {
    /// Begins to read the output of a new process.
    pub fn add(&mut self, pid: u32, group: Rc<Group>, ends: Prepared) {
        let Self { all, budgets, .. } = self;
        let begin = || Rc::new(GroupBudget { used: Budget::new(), since: Instant::now() });
        let budget = budgets.entry(group.name().to_vec()).or_insert_with(begin);
        all.push(Output::new(pid, group, Rc::clone(budget), ends));
    }

    /// The descriptors to poll for reading, of those processes that may write more now.
    pub fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let may = |output: &&Output| output.wait().is_zero();
        self.all.iter().filter(may).flat_map(Output::sources)
    }

    /// Reads what there is, once from each process that may write more.
    pub fn hear(&mut self) {
        let Self { all, buffer, .. } = self;
        for output in all.iter_mut() {
            if output.wait().is_zero() {
                output.hear(buffer);
            }
            if output.unfinished.is_some_and(|since| since.elapsed() >= CONTINUATION_WAIT) {
                output.end_lines();
            }
        }
        all.retain(Output::is_open);
    }

    /// The moment to look again, although nothing has come: a process may write again, or a line has to be ended.
    pub fn wake(&self) -> Option<Instant> {
        let wake = |output: &Output| {
            let wait = output.wait();
            let speaks = (!wait.is_zero()).then(|| Instant::now() + wait);
            speaks.into_iter().chain(output.unfinished.map(|since| since + CONTINUATION_WAIT)).min()
        };
        self.all.iter().filter_map(wake).min()
    }

    /// Writes the last output of a process that has ended. Children of it that live on may go on.
    pub fn ended(&mut self, pid: u32) {
        let Self { all, buffer, .. } = self;
        let Some(output) = all.iter_mut().find(|output| output.pid == pid && !output.over) else { return };
        let mut heard = 0;
        while heard < LEFT_BEHIND {
            match output.hear(buffer) {
                0 => break,
                more => heard += more,
            }
        }
        output.end_lines();
        output.over = true;
        all.retain(Output::is_open);
        let survivors: Vec<usize> = (0..all.len()).filter(|at| all[*at].over).collect();
        if survivors.len() > SURVIVORS {
            all.remove(survivors[0]).end_lines();
        }
    }
}
