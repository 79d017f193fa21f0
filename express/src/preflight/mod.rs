//! The checks before anything starts, so that a mistake ends the command at once and in words.
//!
//! Knows a plan and looks at the machine. Must not change anything.

mod rights;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::Alias;
use wsgi_unix::passed::Place;

use crate::facts::Facts;
use crate::plan::Plan;
use crate::probe::ProbeError;
use crate::sockets;

pub use rights::{Rights, barrier, may};

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The superuser must not run applications.
    #[error("root has to say which user the application is to run as: give --user (and --group)")]
    RootWithoutUser,
    /// The application is not there.
    #[error("the {kind} {path} does not exist; correct its path, or see which directory this is")]
    NoEntry {
        /// What it is.
        kind: &'static str,
        /// The path that was given.
        path: Utf8PathBuf,
    },
    /// The working directory is not there.
    #[error("the directory {0}, given with --working-directory, does not exist; make it, or correct its path")]
    NoDirectory(Utf8PathBuf),
    /// Another process listens there.
    #[error("port {0} is already in use; end what listens there, or choose another with {1}")]
    PortInUse(u16, &'static str),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port}: {source}; choose another with {option}")]
    Port {
        /// The number of the port.
        port: u16,
        /// The option that names it.
        option: &'static str,
        /// The reason of the failure.
        source: io::Error,
    },
    /// The application's user cannot get at a file.
    #[error(
        "the user {user} may not read {path}: {at} denies it; change its permissions, or choose another place or --user"
    )]
    Unreachable {
        /// The name of the user.
        user: String,
        /// The path of the file.
        path: Utf8PathBuf,
        /// The directory or file that denies it.
        at: Utf8PathBuf,
    },
    /// The application cannot write to the directory of a tool.
    #[error(
        "the user {user} may not write to {path}, given with {option}; change its permissions, or name another directory"
    )]
    Unwritable {
        /// The name of the user.
        user: String,
        /// The option that names it.
        option: &'static str,
        /// The path of the directory.
        path: Utf8PathBuf,
    },
    /// A Python package that an option needs is not installed.
    #[error("{option} needs the package {package}: {python} -m pip install {package}")]
    NoPackage {
        /// The option that names it.
        option: &'static str,
        /// The name of the package.
        package: &'static str,
        /// The path of the interpreter.
        python: Utf8PathBuf,
    },
    /// The application could not be tried.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Problem {
    /// Whether the command line is at fault, rather than the state of the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::RootWithoutUser | Self::NoEntry { .. } | Self::NoDirectory(_) | Self::NoPackage { .. })
    }
}

/// Finds what is missing, of the things that may still be missing when a server is only prepared.
pub fn missing(plan: &Plan, caller: u32) -> Vec<Problem> {
    let mut problems = Vec::new();
    if caller == 0 && plan.account.is_root() {
        problems.push(Problem::RootWithoutUser);
    }
    if !plan.working_directory.is_dir() {
        problems.push(Problem::NoDirectory(plan.working_directory.clone()));
    }
    let entry = Utf8Path::new(&plan.handler.entry_point);
    let kind = match plan.handler.application_type {
        "script" => Some("script"),
        "paste" => Some("ini file"),
        _ => None,
    };
    if let Some(kind) = kind.filter(|_| !entry.starts_with(&plan.root.path) && !entry.is_file()) {
        problems.push(Problem::NoEntry { kind, path: entry.to_owned() });
    }
    problems
}

/// Finds what people should know, although it may be intended: the directory of uploads is made later.
pub fn warnings(plan: &Plan) -> impl Iterator<Item = String> {
    plan.server.content.aliases.iter().filter(|alias| !alias.target.exists()).map(|alias| {
        let Alias { url, target, files, .. } = alias;
        let option = files.option();
        format!("{target}, the target of {option} {url}, does not exist; until there is such a directory, what is below {url} is refused")
    })
}

/// The ports that are not free.
pub fn ports(plan: &Plan) -> impl Iterator<Item = Problem> {
    let sites = &plan.server.sites;
    let option = if plan.options.address.bind.is_empty() { "--port" } else { "--bind" };
    let http = sites.listeners().map(move |(address, port)| (address.clone(), port, option));
    let https = sites.tls.iter().flat_map(|tls| {
        sites.secure_addresses().into_iter().map(|address| (address.clone(), tls.port, "--https-port"))
    });
    let passed = sockets::passed_places();
    // Apache opens no socket of its own there.
    let is_passed = move |address: Option<&str>, port: u16| {
        let own = places(address, port);
        passed.iter().any(|place| matches!(place, Place::Inet(place) if own.contains(place)))
    };
    http.chain(https)
        .filter(move |(address, port, _)| !is_passed(address.as_deref(), *port))
        .filter_map(|(address, port, option)| free(address.as_deref(), port, option).err())
}

/// The addresses at which Apache listens where an address, or none, is given.
fn places(address: Option<&str>, port: u16) -> Vec<SocketAddr> {
    match address {
        Some(address) => format!("{address}:{port}").to_socket_addrs().into_iter().flatten().take(1).collect(),
        None => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
    }
}

fn free(address: Option<&str>, port: u16, option: &'static str) -> Result<(), Problem> {
    for place in places(address, port) {
        match TcpListener::bind(place) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => return Err(Problem::PortInUse(port, option)),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Problem::Port { port, option, source });
            }
            // A machine without IPv6 cannot bind there, and Apache will not either.
            _ => {}
        }
    }
    Ok(())
}

/// Finds the files that the application's user cannot get at, where that is another user than the caller.
pub fn permissions(plan: &Plan, facts: &Facts, caller: u32) -> Vec<Problem> {
    if caller == plan.account.uid {
        return Vec::new();
    }
    let entry = Utf8Path::new(&plan.handler.entry_point);
    let mut files = vec![plan.root.path.join("handler.wsgi")];
    if plan.server.wsgi.hosting.is_some() {
        // The interpreter of a virtual environment is a link into the installation.
        files.extend(facts.executable.canonicalize_utf8());
        files.extend(entry.is_absolute().then(|| entry.to_owned()));
    }
    let unreachable = |path: Utf8PathBuf| {
        let at = barrier(&path, &plan.account)?;
        Some(Problem::Unreachable { user: plan.account.user.clone(), path, at })
    };
    files.into_iter().filter_map(unreachable).collect()
}

/// Checks that the application's user can write to the directories of the tools.
///
/// # Errors
/// The directory that the user cannot write to.
pub fn outputs(plan: &Plan) -> Result<(), Problem> {
    let user = &plan.account;
    let refused =
        plan.tools.outputs().find(|(_, directory)| !rights::may(user, directory, Rights::WRITE | Rights::ENTER));
    refused.map_or(Ok(()), |(tool, directory)| {
        Err(Problem::Unwritable { user: user.user.clone(), option: tool.option, path: directory.to_owned() })
    })
}

/// Checks that the interpreter has the packages that options need.
///
/// # Errors
/// The first that it has not.
pub fn packages(plan: &Plan, facts: &Facts) -> Result<(), Problem> {
    let needed = [
        (plan.tools.coverage.is_some(), "--enable-coverage", "coverage", "coverage"),
        (plan.telemetry.is_some(), "--enable-telemetry", "mod_wsgi-telemetry", "mod_wsgi.telemetry.server"),
    ];
    for (_, option, package, module) in needed.into_iter().filter(|(needed, ..)| *needed) {
        let mut command = Command::new(&facts.executable);
        let find = "import sys, site, importlib.util\n\
            for directory in sys.argv[2:]: site.addsitedir(directory)\n\
            try: missing = importlib.util.find_spec(sys.argv[1]) is None\n\
            except ModuleNotFoundError: missing = True\n\
            sys.exit(missing)";
        Facts::hide_from(&mut command).args(["-c", find, module]).args(&plan.python_path);
        let found = command.current_dir(&plan.working_directory).stdin(Stdio::null()).stderr(Stdio::null()).status();
        let python = facts.executable.clone();
        match found {
            Ok(status) if status.success() => {}
            Ok(_) => return Err(Problem::NoPackage { option, package, python }),
            Err(source) => return Err(ProbeError::NoPython { python, source }.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_noticed() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(free(Some("127.0.0.1"), port, "--port"), Err(Problem::PortInUse(p, _)) if p == port));
        drop(taken);
        assert!(free(Some("127.0.0.1"), port, "--port").is_ok());
    }
}
