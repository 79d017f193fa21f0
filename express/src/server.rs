//! The commands that deal with a server, step by step.

use camino::{Utf8Path, Utf8PathBuf};

use crate::banner::banner;
use crate::error::Error;
use crate::facts::Facts;
use crate::options::{CheckOptions, Options, RestartOptions, StatusOptions, Unit};
use crate::plan::{Caller, Plan, PlanError};
use crate::saying::Saying;
use crate::sockets::Sockets;
use crate::{check, files, module, preflight, restart, run, self_signed, status, systemd, trial};

/// Runs `start-server` or `setup-server`. Returns the exit code.
pub fn serve(options: &Options, facts: &Facts, setup: bool) -> Result<i32, Error> {
    options.check()?;
    let caller = caller()?;
    let plan = Plan::new(options, facts, &caller)?;
    // Nothing is started then.
    let setup = setup || options.layout.systemd.is_some() || options.layout.print;
    let saying = Saying::new(&options.logging, setup);
    for warning in preflight::warnings(&plan) {
        saying.warn(&warning);
    }
    let missing = preflight::missing(&plan, caller.uid);
    if setup {
        for problem in &missing {
            eprintln!("warning: {problem}");
        }
    } else {
        missing.into_iter().next().map_or(Ok(()), Err)?;
        preflight::ports(&plan).next().map_or(Ok(()), Err)?;
    }
    if setup && !(options.layout.print || options.layout.systemd.is_some()) && !plan.server.sites.unix.is_empty() {
        return Err(PlanError::UnixWithoutCommand.into());
    }
    if options.layout.print {
        print!("{}", plan.server.render().map_err(files::RenderError::from)?);
        return Ok(0);
    }
    if let Some(unit) = options.layout.systemd {
        let text = match unit {
            Unit::Service => systemd::unit(&plan, facts, &caller),
            Unit::Socket => systemd::socket(&plan, &caller),
        };
        print!("{text}");
        return Ok(0);
    }
    files::write(&plan, &files::render(&plan)?, caller.uid, setup)?;
    let fingerprint =
        self_signed::certificate(&plan)?.map(|fingerprint| format!("Certificate        : SHA-256 {fingerprint}\n"));
    let fingerprint = fingerprint.unwrap_or_default();
    if setup {
        print!("{}{fingerprint}", banner(&plan, true));
        return Ok(0);
    }
    preflight::permissions(&plan, facts, caller.uid).into_iter().next().map_or(Ok(()), Err)?;
    preflight::outputs(&plan)?;
    preflight::packages(&plan, facts)?;
    let banner = saying.banner(format!("{}{fingerprint}", banner(&plan, false)));
    let sockets = Sockets::open(&plan)?;
    let judge = trial::begin(&plan, facts, caller.uid, &banner)?;
    Ok(run::run(&plan.control.path(), plan.control.is_one_process(), judge, sockets)?)
}

/// Runs `check`. Returns the exit code.
pub fn examine(options: &CheckOptions, facts: &Facts) -> Result<i32, Error> {
    Ok(check::check(options, facts, &caller()?)?)
}

/// Runs the process that [`run::run`] starts beside a terminal.
pub fn dependent(control: &Utf8Path, command: i32, awaits_verdict: bool) -> Result<i32, Error> {
    Err(run::become_dependent_server(control, command, awaits_verdict).into())
}

/// Runs the process that [`trial::begin`] starts.
pub fn judge() -> Result<i32, Error> {
    trial::preside()?;
    Ok(0)
}

/// Runs `install-module`. Returns the exit code.
pub fn install(facts: &Facts, directory: Option<Utf8PathBuf>) -> Result<i32, Error> {
    let directory = match directory {
        Some(directory) => directory,
        None => text(apxs::Apache::find_runtime()?.libexecdir().to_path_buf())?,
    };
    let copy = module::install(facts, &directory)?;
    print!("{}", module::configuration(facts, &copy));
    Ok(0)
}

/// Runs `restart`. Returns the exit code.
pub fn restart(options: &RestartOptions) -> Result<i32, Error> {
    Ok(restart::restart(options, &caller()?)?)
}

/// Runs `status`. Returns the exit code.
pub fn status(options: &StatusOptions) -> Result<i32, Error> {
    Ok(status::status(options, &caller()?)?)
}

fn caller() -> Result<Caller, Error> {
    Ok(Caller {
        directory: text(std::env::current_dir().map_err(Error::CurrentDirectory)?)?,
        variables: std::env::vars_os()
            .filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
        uid: nix::unistd::geteuid().as_raw(),
        command: std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect(),
    })
}

fn text(path: std::path::PathBuf) -> Result<Utf8PathBuf, PlanError> {
    Utf8PathBuf::from_path_buf(path).map_err(PlanError::NotText)
}
