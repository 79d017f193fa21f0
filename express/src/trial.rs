//! The trial of an application before it serves: code that cannot be imported ends `start-server` at once, with its
//! traceback, the cure and an exit code.
//!
//! The trial goes on while Apache starts and its daemon processes load the application too: who waits for the first
//! answer waits for one import and not for two. Another process of this program is the judge ([`preside`]). Apache's
//! standard input is a socket to it, and the module lets nobody be served before the verdict comes that way
//! ([`wsgi_wire::verdict`]). Where the log is on the terminal the trial comes first, as the daemon processes would show
//! the same traceback there; and where a debugger reads from standard input.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use wsgi_wire::verdict::Verdict;

use crate::advice::{self, Surroundings};
use crate::facts::Facts;
use crate::options::FACTORY;
use crate::plan::Plan;
use crate::probe::{self, Case, Depth, ProbeError, Probed};

/// Why the application is not served.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The application could not be tried.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The application's module cannot be imported; the traceback has been shown.
    #[error("the module {module} cannot be used as an application (see above); {cure}")]
    NoImport {
        /// The name of the module.
        module: String,
        /// The cure, in words.
        cure: String,
    },
    /// The application's module ends the process that imports it.
    #[error(
        "the module {module} ends the process that imports it ({status}): {python} -X faulthandler -c 'import {module}' shows where"
    )]
    Ends {
        /// The name of the module.
        module: String,
        /// How the process ends.
        status: ExitStatus,
        /// The path of the interpreter.
        python: Utf8PathBuf,
    },
    /// The judge has not been told what to try, or cannot answer.
    #[error("the application cannot be tried: {0}")]
    Judge(#[from] io::Error),
}

/// What the judge is told, as a line of JSON.
#[derive(Serialize, Deserialize)]
struct Trial {
    case: Case,
    around: Around,
    /// What is printed when the server may serve.
    banner: String,
}

/// What advice needs to know of the application.
#[derive(Serialize, Deserialize)]
struct Around {
    python: Utf8PathBuf,
    working_directory: Utf8PathBuf,
    module: String,
}

impl Around {
    fn new(plan: &Plan, facts: &Facts) -> Self {
        Self {
            python: facts.executable.clone(),
            working_directory: plan.working_directory.clone(),
            module: plan.handler.entry_point.clone(),
        }
    }

    /// Judges a probe. Modules that take longer than the startup timeout are not judged.
    fn verdict(&self, probed: &Probed) -> Result<(), TrialError> {
        if probed.success() != Some(false) {
            return Ok(());
        }
        eprint!("{}", String::from_utf8_lossy(&probed.said));
        if let Some(status) = probed.death() {
            return Err(TrialError::Ends { module: self.module.clone(), status, python: self.python.clone() });
        }
        let around = Surroundings {
            python: &self.python,
            working_directory: &self.working_directory,
            entry_point: &self.module,
        };
        let cure = match (&probed.report.failure, probed.report.others.first()) {
            (Some(failure), _) => advice::advice(failure, &around),
            (None, Some(other)) => format!("add --callable-object {other}"),
            (None, None) => format!("name the callable that it has with --callable-object; {FACTORY}"),
        };
        Err(TrialError::NoImport { module: self.module.clone(), cure })
    }
}

/// Tries the application, or begins to; `banner` is printed once it is known to be good. Returns Apache's standard
/// input where the trial goes on while Apache starts: the socket to the judge. A script is not tried, because it may be
/// mended while the server runs.
///
/// # Errors
/// [`TrialError`] where the trial is over.
pub fn begin(plan: &Plan, facts: &Facts, caller: u32, banner: &str) -> Result<Option<UnixStream>, TrialError> {
    if plan.handler.application_type == "module" {
        let logging = &plan.options.logging;
        let apart = plan.control.is_one_process() || (logging.log_to_terminal && logging.log_directory.is_none());
        if !apart {
            // The application's user may not be able to run this program, though the interpreter.
            if let Ok(socket) = appoint(plan, facts, caller, banner) {
                return Ok(Some(socket));
            }
        }
        Around::new(plan, facts).verdict(&probe::run(plan, facts, caller, Depth::Load)?)?;
    }
    print!("{banner}");
    Ok(None)
}

/// Starts a judge in the surroundings of the application, with the rights of its user.
fn appoint(plan: &Plan, facts: &Facts, caller: u32, banner: &str) -> Result<UnixStream, TrialError> {
    let (mut apaches, judges) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    probe::surround(&mut command, plan, caller)?;
    command.arg(crate::cli::JUDGE).stdin(Stdio::from(OwnedFd::from(judges))).spawn()?;
    let trial = Trial {
        case: Case::new(plan, facts, Depth::Load),
        around: Around::new(plan, facts),
        banner: banner.to_owned(),
    };
    let mut text = serde_json::to_vec(&trial).map_err(io::Error::from)?;
    text.push(b'\n');
    apaches.write_all(&text)?;
    Ok(apaches)
}

/// The judge: hears on its standard input what to try, and sends the verdict back where it is a good one. Else its end
/// is the verdict.
///
/// # Errors
/// [`TrialError`]: the verdict.
pub fn preside() -> Result<(), TrialError> {
    // Where Apache has gone nobody waits for a verdict any more.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut text = String::new();
    BufReader::new(&socket).read_line(&mut text)?;
    let trial: Trial = serde_json::from_str(&text).map_err(io::Error::from)?;
    // The process has the surroundings of this one.
    trial.around.verdict(&trial.case.run(|_| Ok(()))?)?;
    print!("{}", trial.banner);
    io::stdout().flush()?;
    (&socket).write_all(&Verdict { judge: std::process::id() }.bytes())?;
    Ok(())
}
