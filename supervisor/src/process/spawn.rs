//! The start of one daemon process: from a free slot to a running interpreter.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use wsgi_unix::files;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control::Spawn;
use wsgi_wire::descriptors::daemon as contract;
use wsgi_wire::environment;
use wsgi_wire::frame::Kind;
use wsgi_wire::interface::Interface;
use wsgi_wire::limits;
use wsgi_wire::settings::Daemon;
use wsgi_wire::table::{Slot, group_key, socket_path};

use super::birth;
use super::interpreter::{self, BOOT, InterpreterError};
use super::recorder::Recorder;
use crate::channel::Channel;
use crate::configuration::{Configuration, Group};
use crate::group_history::GroupHistory;
use crate::listener::{BindError, SocketFile};
use crate::output::{self, Prepared};
use crate::privileges;
use crate::sys::child::{self, Step, Steps};
use crate::sys::descriptors::duplicate;
use crate::sys::table::Table;

/// A process that has just been started.
#[derive(Debug)]
pub struct Spawned {
    /// The slot of the process table that the process has.
    pub slot: usize,
    /// The id of the process.
    pub pid: Pid,
    /// This program's end of its control socket; `Start` is on its way.
    pub channel: Channel,
    /// The file of its socket.
    pub socket: SocketFile,
    /// The flight recorder of the process.
    pub recorder: Recorder,
    /// The pipe of its standard output and error.
    pub output: Prepared,
    /// When it was started.
    pub started: Instant,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process table is full.
    #[error(
        "the server has {} daemon processes already, which is the most it can have: lower 'processes' of some groups",
        wsgi_wire::table::SLOTS
    )]
    NoSlot,
    /// There is no interpreter to run.
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    /// There is no socket to listen on.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The process failed before Python started.
    #[error("the process cannot {step}{subject}: {reason}")]
    Step {
        /// The step at which the new process failed.
        step: Step,
        /// The configured value that the step was about, quoted.
        subject: String,
        /// Why the step failed.
        reason: io::Error,
    },
    /// The preparation of the process failed.
    #[error("cannot prepare the process: {0}")]
    Prepare(#[from] io::Error),
    /// The settings of the process are too long to be sent.
    #[error("its settings cannot be sent: {0}")]
    Settings(#[from] DecodeError),
}

/// The things that this program has from Apache, for all processes.
#[derive(Debug)]
pub struct Shared {
    /// The process table. No daemon ever has anything of it.
    pub table: Table,
    /// Where daemons with `server-metrics` read Apache's scoreboard.
    pub scoreboard: Option<OwnedFd>,
    /// Apache's file creation mask, for daemons without one of their own.
    pub umask: u32,
    /// How many descriptors a process of Apache's may have: for daemons, since this program may have more.
    pub files: Rlimit,
}

/// Lets this program have as many descriptors as it can get: it holds four for each daemon process. Returns the limit
/// that daemons get.
pub fn raise_files() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // With fewer there are fewer processes, which is said when one cannot be started.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    before
}

/// Starts a process of the group with what is remembered of that.
pub fn spawn(
    group: &Group,
    configuration: &Configuration,
    history: &GroupHistory,
    shared: &Shared,
) -> Result<Spawned, Error> {
    let table = &shared.table;
    let (index, _) = table.entries().find(|(_, entry)| entry.is_free()).ok_or(Error::NoSlot)?;
    let slot = table.slot(index, &group.pages).ok_or(Error::NoSlot)?;
    let secret = getrandom::u64().map_err(io::Error::from)?;
    table.header().used.fetch_max(index as u32 + 1, Relaxed);
    let daemon = &group.settings.daemon;
    slot.occupy(group_key(group.name()), daemon.concurrency(daemon.interface), secret);
    slot.entry.generation.store(configuration.generation, Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    slot.entry.started.store(now.as_secs(), Relaxed);
    let settings = Daemon {
        slot: index as u32,
        secret,
        generation: configuration.generation,
        inherited: history.scripts(),
        known_failures: history.known_failures.clone(),
        server_metrics: group.settings.daemon.server_metrics && shared.scoreboard.is_some(),
        ..group.settings.daemon.clone()
    };
    let result = privileges::with_all(|| fill(index, slot, group, configuration, &settings, shared));
    if result.is_err() {
        slot.entry.set_free();
    }
    result
}

fn fill(
    index: usize,
    slot: Slot<'_>,
    group: &Group,
    configuration: &Configuration,
    settings: &Daemon,
    shared: &Shared,
) -> Result<Spawned, Error> {
    let spawn = &group.settings.spawn;
    let path = PathBuf::from(socket_path(
        &configuration.socket_prefix,
        configuration.parent,
        index,
        slot.entry.serial.load(Relaxed),
    ));
    let (socket, listener) = SocketFile::bind(path, spawn)?;
    let interpreter = interpreter::find(spawn)?;
    let (ours, theirs) = UnixStream::pair()?;
    let recorder = Recorder::new(group.settings.daemon.threads)?;
    let (output, ends) = output::prepare(spawn.identity.as_ref())?;
    let mut command = command(&interpreter, group, ends.pipe)?;
    let scoreboard = shared.scoreboard.as_ref().filter(|_| settings.server_metrics);
    let descriptors = [
        (contract::CONTROL, theirs.as_fd()),
        (contract::LISTENER, listener.as_fd()),
        (contract::PAGES, group.pages.as_fd()),
        (contract::RECORDER, recorder.as_fd()),
        (contract::RECORDS, ends.socket.as_fd()),
    ];
    let descriptors =
        descriptors.into_iter().chain(scoreboard.map(|scoreboard| (contract::SCOREBOARD, scoreboard.as_fd())));
    let steps = Steps {
        nice: spawn.nice,
        limits: privileges::limits(spawn).into_iter().chain([files(shared.files, settings)]).collect(),
        chroot: spawn.chroot.as_ref().map(|root| CString::new(root.to_vec())).transpose().map_err(io::Error::from)?,
        identity: spawn.identity.as_ref().map(privileges::ids).transpose()?,
        directory: spawn.home.as_ref().map(|home| CString::new(home.to_vec())).transpose().map_err(io::Error::from)?,
        umask: spawn.umask.unwrap_or(shared.umask) as libc::mode_t,
        new_privileges: spawn.new_privileges,
        descriptors: descriptors.map(|(number, fd)| Ok((number, duplicate(fd)?))).collect::<io::Result<_>>()?,
    };
    child::prepare(&mut command, steps);

    let mut channel = Channel::new(ours)?;
    channel.send(Kind::Start, &settings.to_bytes())?;
    let started = Instant::now();
    let process = command.spawn().map_err(|error| failed_step(error, spawn, &interpreter))?;
    slot.entry.pid.store(process.id(), Relaxed);
    // A supervisor after this one knows by it whether the process is still the same.
    slot.entry.born.store(birth::of(process.id()).unwrap_or(0), Relaxed);
    Ok(Spawned { slot: index, pid: Pid::from_child(&process), channel, socket, recorder, output, started })
}

/// The limit of descriptors in the system's own numbers: of a process that may have an event loop, as many as it can
/// get, since each of its WebSockets takes one.
fn files(limit: Rlimit, settings: &Daemon) -> (libc::c_int, u64, u64) {
    let number = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
    let current = if settings.interface == Interface::Wsgi { limit.current } else { limit.maximum };
    (libc::RLIMIT_NOFILE as libc::c_int, number(current), number(limit.maximum))
}

/// Makes the command line `python <flags> -c <boot> <directory of the mod_wsgi package>`.
fn command(interpreter: &Path, group: &Group, output: OwnedFd) -> io::Result<Command> {
    let spawn = &group.settings.spawn;
    let mut command = Command::new(interpreter);
    command.args(spawn.python_flags.iter().map(|flag| OsStr::from_bytes(flag)));
    command.arg("-c").arg(BOOT);
    command.arg(OsStr::from_bytes(spawn.package.as_deref().unwrap_or_default()));
    command.env_clear().envs(privileges::environment(spawn));
    let user = spawn.identity.as_ref().map(privileges::ids).transpose()?;
    for path in &spawn.env_files {
        let path = Path::new(OsStr::from_bytes(path));
        let failed = |reason: String| io::Error::other(format!("env-file '{}': {reason}", path.display()));
        let set = |name: &[u8], value: &[u8]| {
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        };
        files::lend(path, limits::ENV_FILE, user.as_ref(), |text| environment::read(text, set))
            .map_err(|refused| failed(refused.to_string()))?
            .map_err(|(line, error)| failed(format!("line {line}: {error}")))?;
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// Names what was configured for the step that failed.
fn failed_step(error: io::Error, spawn: &Spawn, interpreter: &Path) -> Error {
    let (step, reason) = Step::of(error);
    let quoted = |text: &[u8]| format!(" '{}'", String::from_utf8_lossy(text));
    let subject = match step {
        Step::Exec => quoted(interpreter.as_os_str().as_bytes()),
        Step::Chroot => spawn.chroot.as_deref().map(quoted).unwrap_or_default(),
        Step::Directory => spawn.home.as_deref().map(quoted).unwrap_or_default(),
        Step::Identity => spawn.identity.as_ref().map(|user| quoted(&user.name)).unwrap_or_default(),
        Step::Limit | Step::Descriptors | Step::Privileges => String::new(),
    };
    Error::Step { step, subject, reason }
}
