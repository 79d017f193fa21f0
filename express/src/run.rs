//! Running Apache in the foreground.

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use camino::Utf8Path;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use wsgi_wire::descriptors::PASSED_SOCKETS;
use wsgi_wire::verdict;

use crate::facts::Facts;
use crate::sockets::Sockets;

/// Why Apache does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The control script cannot be started.
    #[error("cannot run {script}: {source}")]
    Start {
        /// The control script.
        script: String,
        /// The reason of the failure.
        source: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(#[from] nix::Error),
}

/// Runs the control script's server until it ends, and returns its exit code. Without a terminal this process becomes
/// Apache and there is no return, so that whoever started it can watch and signal it by its process id; so it does
/// where a debugger is to read from the terminal.
///
/// # Errors
/// [`RunError`] when it cannot be started.
pub fn run(
    control: &Utf8Path,
    one_process: bool,
    judge: Option<UnixStream>,
    sockets: Sockets,
) -> Result<i32, RunError> {
    let list = sockets.hand_on();
    if io::stdout().is_terminal() && !one_process {
        let code = beside_terminal(control, judge, list);
        sockets.remove();
        return code;
    }
    let (awaits_verdict, input) = (judge.is_some(), standard_input(judge));
    Err(become_server(control, input, awaits_verdict, list))
}

/// The socket to the judge, or what this process has.
fn standard_input(socket: Option<UnixStream>) -> Stdio {
    socket.map_or_else(Stdio::inherit, |socket| OwnedFd::from(socket).into())
}

/// Becomes Apache. Ends with this process's parent if it is the command on a terminal.
fn become_server(control: &Utf8Path, input: Stdio, awaits_verdict: bool, sockets: Option<String>) -> RunError {
    // To Apache a change of the window's size is the order to stop.
    let mut window = SigSet::empty();
    window.add(Signal::SIGWINCH);
    if let Err(error) = window.thread_block() {
        return error.into();
    }
    let mut command = Command::new(control);
    Facts::hide_from(&mut command).args(["start", "-DFOREGROUND"]).stdin(input);
    // No other one than ours is believed.
    command.env_remove(PASSED_SOCKETS).envs(sockets.map(|list| (PASSED_SOCKETS, list)));
    if awaits_verdict {
        command.arg(format!("-D{}", verdict::DEFINE.to_string_lossy()));
    }
    let source = command.exec();
    RunError::Start { script: control.to_string(), source }
}

/// Runs in the child of [`beside_terminal`]: makes sure that Apache does not outlive the command, and becomes Apache.
pub fn become_dependent_server(control: &Utf8Path, command: i32, awaits_verdict: bool) -> RunError {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM) {
        return error.into();
    }
    if nix::unistd::getppid().as_raw() != command {
        return RunError::Start { script: control.to_string(), source: io::Error::other("the command has ended") };
    }
    become_server(control, Stdio::inherit(), awaits_verdict, std::env::var(PASSED_SOCKETS).ok())
}

/// Runs Apache in a process group of its own, so that the terminal's signals come here and can be translated.
fn beside_terminal(control: &Utf8Path, socket: Option<UnixStream>, sockets: Option<String>) -> Result<i32, RunError> {
    let failed = |source| RunError::Start { script: control.to_string(), source };
    let program = std::env::current_exe().map_err(failed)?;
    let command = std::process::id().to_string();
    let child = Command::new(program)
        .args([crate::cli::DEPENDENT, control.as_str(), &command])
        .args(socket.as_ref().map(|_| "--awaits-verdict"))
        .stdin(standard_input(socket))
        .env_remove(PASSED_SOCKETS)
        .envs(sockets.map(|list| (PASSED_SOCKETS, list)))
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let wanted = [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGWINCH,
    ];
    let mut signals = SigSet::empty();
    for signal in wanted {
        signals.add(signal);
    }
    signals.thread_block()?;
    wait(child, &signals)
}

fn wait(mut child: Child, signals: &SigSet) -> Result<i32, RunError> {
    let server = Pid::from_raw(i32::try_from(child.id()).map_err(|_| nix::Error::ESRCH)?);
    loop {
        // A child that ended before SIGCHLD was blocked sends none.
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(exit_code(status));
        }
        reap_orphans(server);
        let order = match signals.wait()? {
            Signal::SIGCHLD | Signal::SIGWINCH => continue,
            Signal::SIGUSR1 => Signal::SIGUSR1,
            // Also when the terminal is closed: a server that nobody sees any more is not wanted.
            _ => Signal::SIGTERM,
        };
        // It may just have ended.
        let _ = kill(server, order);
    }
}

/// Takes what ended orphans have left: as process 1, in a container, this is their parent.
fn reap_orphans(server: Pid) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Some(ended) = waitid(Id::All, look).ok().and_then(|status| status.pid()) {
        if ended == server || waitpid(ended, None).is_err() {
            return;
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|number| 128 + number)).unwrap_or(1)
}
