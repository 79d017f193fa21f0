//! The application, loaded as a daemon will: by the same interpreter, in the same directory, with the same search path,
//! as the same user, and in a process of its own. What that process says is the application's word: it is bounded, and
//! believed no further than to be shown.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wsgi_unix::files;
use wsgi_unix::user::Ids;
use wsgi_wire::{environment, limits};

use crate::facts::Facts;
use crate::plan::{Account, Plan};

/// The program that loads the application. It says as the server's own scripts which interface that has.
const PROBE: &str = concat!(include_str!("../../python/mod_wsgi/express/interface.py"), include_str!("probe.py"));
/// How often this looks whether the process has ended.
const POLL: Duration = Duration::from_millis(10);
/// How many bytes are kept of what the process prints.
const MOST_SAID: u64 = 1 << 20;
/// How long something that the application has started may hold a pipe open beyond the end.
const PIPE: Duration = Duration::from_secs(1);

/// Why the application was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A file of variables cannot be used.
    #[error("--env-file {path}: {reason}")]
    EnvFile {
        /// The path of the file.
        path: Utf8PathBuf,
        /// The reason of the failure.
        reason: String,
    },
    /// The interpreter cannot be run.
    #[error("cannot run the Python {python}: {source}")]
    NoPython {
        /// The path of the interpreter.
        python: Utf8PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
}

/// The depth of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Check whether the application can be loaded.
    Load,
    /// Check what else might go wrong, too.
    Everything,
}

/// The kind of a callable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Callable {
    /// It is a WSGI application.
    Wsgi,
    /// It is an application of the other protocol.
    Asgi,
    /// It does not take two arguments.
    Arguments,
    /// It cannot be called.
    Missing,
}

/// An exception while the application was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// The type and text of the exception.
    pub text: String,
    /// The module that is missing, if that is what the exception says.
    pub missing: Option<String>,
    /// The file and line, of the application's own code.
    pub at: Vec<String>,
}

/// The failure of an ASGI application to start, or to stop.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LifespanFailure {
    /// What it was told: `startup` or `shutdown`.
    pub stage: String,
    /// What it says, or the exception.
    pub text: String,
    /// The file and line, where an exception says them.
    pub at: Vec<String>,
}

/// A message of Django's system checks.
#[derive(Clone, Debug, Deserialize)]
pub struct DjangoMessage {
    /// The id of the message, such as `security.W004`.
    pub id: String,
    /// Whether the message is an error.
    pub serious: bool,
    /// The text of the message.
    pub text: String,
    /// The hint of the message.
    pub hint: String,
}

/// The report of the process, as far as it has come.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The version of the interpreter.
    pub python: Option<String>,
    /// Why the engine cannot be loaded.
    pub engine: Option<String>,
    /// Why the application cannot be loaded.
    pub failure: Option<Failure>,
    /// The kind of its callable.
    pub callable: Option<Callable>,
    /// The stage of `lifespan` that has begun.
    pub stage: Option<String>,
    /// How its `lifespan` goes wrong.
    pub lifespan: Option<LifespanFailure>,
    /// Other names under which the callable may be there.
    pub others: Vec<String>,
    /// Whether the application needs something that only a daemon process has.
    pub only_in_a_daemon: bool,
    /// Packages that the application uses and that work in the main interpreter only.
    pub extensions: Vec<String>,
    /// The bytes of memory after the application was loaded.
    pub resident: Option<u64>,
    /// The messages of Django's system checks.
    pub django: Vec<DjangoMessage>,
    /// The number of migrations that the database lacks.
    pub migrations: Option<u64>,
    /// The reason why some of that is not known.
    pub unchecked: Option<String>,
}

/// The result of a probe.
#[derive(Debug)]
pub struct Probed {
    /// The report of the process.
    pub report: Report,
    /// The output on standard error: tracebacks among others.
    pub said: Vec<u8>,
    /// The end of the process; `None` when it took longer than the startup timeout.
    pub status: Option<ExitStatus>,
}

impl Probed {
    /// Whether the application can be used, as far as it was tried; `None` when it took longer than the startup
    /// timeout.
    pub fn success(&self) -> Option<bool> {
        self.status.map(|status| status.success() && self.death().is_none())
    }

    /// The end of the process, where the program has not brought it about: the application has ended it, or a fault of
    /// what it uses.
    pub fn death(&self) -> Option<ExitStatus> {
        let report = &self.report;
        let own = match report.callable {
            _ if report.failure.is_some() => Some(1),
            Some(Callable::Missing) => Some(1),
            callable => (callable.is_some() || report.only_in_a_daemon).then_some(0),
        };
        self.status.filter(|status| own.is_none() || status.code() != own)
    }
}

/// Loads the application of a plan, as [`Case::run`] does.
///
/// # Errors
/// [`ProbeError`] when the process cannot be started.
pub fn run(plan: &Plan, facts: &Facts, caller: u32, depth: Depth) -> Result<Probed, ProbeError> {
    Case::new(plan, facts, depth).run(|command| surround(command, plan, caller))
}

/// What to load, and for how long to wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The path of the interpreter.
    python: Utf8PathBuf,
    /// The argument of its program.
    wanted: Value,
    /// The startup timeout; none if it is zero.
    limit: Duration,
}

impl Case {
    /// The application of a plan.
    pub fn new(plan: &Plan, facts: &Facts, depth: Depth) -> Self {
        let handler = &plan.handler;
        let wanted = json!({
            "type": handler.application_type, "entry": handler.entry_point, "callable": handler.callable_object,
            "path": plan.python_path, "deep": depth == Depth::Everything, "interface": handler.interface,
            "loop": plan.options.asgi.event_loop, "lifespan": plan.options.asgi.lifespan.name(),
        });
        let limit = Duration::from_secs(plan.options.timeouts.startup_timeout.into());
        Self { python: facts.executable.clone(), wanted, limit }
    }

    /// Loads the application. Takes no longer than the startup timeout: slower applications are not judged. `prepare`
    /// gives the process its surroundings.
    ///
    /// # Errors
    /// [`ProbeError`] when the process cannot be started.
    pub fn run(&self, prepare: impl FnOnce(&mut Command) -> Result<(), ProbeError>) -> Result<Probed, ProbeError> {
        let mut command = Command::new(&self.python);
        command.args(["-c", PROBE, &self.wanted.to_string()]);
        prepare(&mut command)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let no_python = |source| ProbeError::NoPython { python: self.python.clone(), source };
        let mut child = command.spawn().map_err(no_python)?;
        let (reported, said) = (listen(child.stdout.take()), listen(child.stderr.take()));
        let status = ended(child, self.limit);
        let heard = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(PIPE).unwrap_or_default();
        Ok(Probed { report: read(&heard(reported)), said: heard(said), status })
    }
}

/// Gives a process the surroundings of the application: its directory, its variables and its user.
///
/// # Errors
/// [`ProbeError::EnvFile`].
pub fn surround(command: &mut Command, plan: &Plan, caller: u32) -> Result<(), ProbeError> {
    Facts::hide_from(command)
        .env("LC_ALL", &plan.locale)
        .env("LANG", &plan.locale)
        .envs(&plan.handler.environ)
        .current_dir(&plan.working_directory);
    variables(plan, caller, command)?;
    if caller == 0 {
        command.uid(plan.account.uid).gid(plan.account.gid);
    }
    Ok(())
}

/// Reads the lines of the report. Other lines are left out.
fn read(text: &[u8]) -> Report {
    let mut all = Map::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(Value::Object(facts)) = serde_json::from_slice(line) {
            all.extend(facts.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
    serde_json::from_value(Value::Object(all)).unwrap_or_default()
}

/// Sets the variables of the `--env-file`s, read with the rights by which the daemons' are read.
fn variables(plan: &Plan, caller: u32, command: &mut Command) -> Result<(), ProbeError> {
    let Account { uid, gid, user, .. } = &plan.account;
    let name = if user.starts_with('#') { "" } else { user };
    for path in &plan.env_files {
        let failed = |reason: String| ProbeError::EnvFile { path: path.clone(), reason };
        let user = (caller == 0).then(|| Ids::of(*uid, *gid, name.as_bytes(), None)).transpose();
        let user = user.map_err(|error| failed(error.to_string()))?;
        let set = |name: &[u8], value: &[u8]| {
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        };
        files::lend(path.as_std_path(), limits::ENV_FILE, user.as_ref(), |text| environment::read(text, set))
            .map_err(|refused| failed(refused.to_string()))?
            .map_err(|(line, error)| failed(format!("line {line}: {error}")))?;
    }
    Ok(())
}

/// Reads a pipe until it is closed; of more than [`MOST_SAID`] the beginning.
fn listen(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What can be read is shown; nobody may be waiting any more.
        let _ = pipe.map(|mut pipe| {
            let _ = pipe.by_ref().take(MOST_SAID).read_to_end(&mut text);
            // Who goes on to write is not kept waiting.
            io::copy(&mut pipe, &mut io::sink())
        });
        let _ = sender.send(text);
    });
    receiver
}

/// Whether a process ended well; `None` when it had to be stopped.
fn ended(mut child: Child, limit: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if limit.is_zero() || begin.elapsed() < limit => std::thread::sleep(POLL),
            _ => {
                // It may just have ended.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_good_as_its_lines() {
        let report = read(
            b"{\"python\": \"3.11.2\", \"engine\": null}\nnoise\n{\"callable\": \"asgi\", \"others\": [\"app\"]}\n{",
        );
        assert_eq!(report.python.as_deref(), Some("3.11.2"));
        assert_eq!((report.engine, report.callable), (None, Some(Callable::Asgi)));
        assert_eq!(report.others, ["app"]);
        assert!(read(b"{\"callable\": 7}").callable.is_none());
    }
}
