//! Signals as descriptors to poll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// The signals that this process lives through; only that of a child's end has a meaning. TERM and INT often reach
/// everything that belongs to a server at once (Ctrl-C, systemd): Apache's parent gets them too and then says in order
/// what is to be done, or is gone, which shows on the control socket. Handlers, unlike ignored signals, do not outlive
/// exec. The handler of the alarm clock has nothing to do: it is enough that the signal comes.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
}

impl Signals {
    /// Installs the handlers.
    pub fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let signals = [SIGALRM, SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2];
        Ok(Self { delivery: SignalDelivery::with_pipe(read, write, SignalOnly, signals)? })
    }

    /// Whether a child process has changed its state since the last call.
    pub fn child_changed(&mut self) -> bool {
        self.delivery.pending().filter(|signal| *signal == SIGCHLD).count() > 0
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}
