//! Everything that can end the command, and the exit code it ends with.

use crate::facts::FactsError;
use crate::module::InstallError;
use crate::options::OptionError;
#[cfg(unix)]
use crate::{
    administration::AdministrationError,
    files::{RenderError, WriteError},
    plan::PlanError,
    preflight::Problem,
    run::RunError,
    self_signed::SelfSignedError,
    sockets::SocketError,
    trial::TrialError,
};

/// Why the command ends without having done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options contradict each other or themselves.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// The Python environment is unknown.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The module was not installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Apache on Windows has no daemon processes.
    #[error(
        "this command needs daemon processes, which Apache on Windows does not have: \
         use module-config, and put its lines into the configuration of an Apache of your own"
    )]
    Windows,
    /// Manual pages and completions cannot be written.
    #[error("the manual cannot be written: {0}")]
    Documents(std::io::Error),
    /// The current directory is gone.
    #[error("the current directory cannot be read: {0}")]
    #[cfg_attr(not(unix), expect(dead_code, reason = "only servers are started in a directory"))]
    CurrentDirectory(std::io::Error),
    /// Something that the options name is not there.
    #[cfg(unix)]
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Apache is not there.
    #[cfg(unix)]
    #[error(transparent)]
    Apache(#[from] apxs::Error),
    /// A value cannot be written into a configuration.
    #[cfg(unix)]
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The server root cannot be written.
    #[cfg(unix)]
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no certificate for `--self-signed`.
    #[cfg(unix)]
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// Something would fail after the start.
    #[cfg(unix)]
    #[error(transparent)]
    Preflight(#[from] Problem),
    /// The application cannot be served.
    #[cfg(unix)]
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A running server cannot be spoken to.
    #[cfg(unix)]
    #[error(transparent)]
    Administration(#[from] AdministrationError),
    /// What was found cannot be written down.
    #[error("the findings cannot be written: {0}")]
    Report(#[from] serde_json::Error),
    /// A unix socket cannot be listened at.
    #[cfg(unix)]
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Apache does not run.
    #[cfg(unix)]
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Error {
    /// The exit code: 2 where the command line is at fault, else 1.
    pub fn exit_code(&self) -> i32 {
        let usage = match self {
            Self::Options(_) | Self::Windows => true,
            #[cfg(unix)]
            Self::Plan(PlanError::Apache(_)) => false,
            #[cfg(unix)]
            Self::Plan(_) | Self::Render(_) => true,
            #[cfg(unix)]
            Self::Preflight(problem) => problem.is_usage(),
            _ => false,
        };
        if usage { 2 } else { 1 }
    }
}
