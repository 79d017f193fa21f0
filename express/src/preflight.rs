//! What is checked before anything starts, so that a mistake ends the command at once and in words.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::Alias;
use wsgi_unix::files;
use wsgi_unix::user::Ids;
use wsgi_wire::{environment, limits};

use crate::facts::Facts;
use crate::plan::{Account, Plan};

/// Imports the module as a daemon will: with the same folder and search path.
const IMPORT: &str = include_str!("import.py");
/// How often it is asked whether that has ended.
const POLL: Duration = Duration::from_millis(10);

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The superuser must not run applications.
    #[error("root has to say which user the application is to run as: give --user (and --group)")]
    RootWithoutUser,
    /// The application is not there.
    #[error("the {kind} {path} does not exist")]
    NoEntry {
        /// What it is.
        kind: &'static str,
        /// Its path.
        path: Utf8PathBuf,
    },
    /// The working directory is not there.
    #[error("the folder {0}, given with --working-directory, does not exist")]
    NoFolder(Utf8PathBuf),
    /// Somebody else listens there.
    #[error("port {0} is already in use; end what listens there, or choose another with {1}")]
    PortInUse(u16, &'static str),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port}: {source}; choose another with {option}")]
    Port {
        /// The port.
        port: u16,
        /// The option.
        option: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The application's user cannot get at a file.
    #[error(
        "the user {user} may not read {path}: {at} denies it; change its permissions, or choose another place or --user"
    )]
    Unreachable {
        /// The user.
        user: String,
        /// The file.
        path: Utf8PathBuf,
        /// What stands in the way.
        at: Utf8PathBuf,
    },
    /// The application cannot write to the folder of a tool.
    #[error(
        "the user {user} may not write to {path}, given with {option}; change its permissions, or name another folder"
    )]
    Unwritable {
        /// The user.
        user: String,
        /// The option.
        option: &'static str,
        /// The folder.
        path: Utf8PathBuf,
    },
    /// A Python package that an option needs is not installed.
    #[error("{option} needs the package {package}: {python} -m pip install {package}")]
    NoPackage {
        /// The option.
        option: &'static str,
        /// The package.
        package: &'static str,
        /// The interpreter.
        python: Utf8PathBuf,
    },
    /// A file of variables cannot be used.
    #[error("--env-file {path}: {reason}")]
    EnvFile {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        reason: String,
    },
    /// The interpreter cannot be run.
    #[error("cannot run the Python {python}: {source}")]
    NoPython {
        /// The interpreter.
        python: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The application's module cannot be imported; the traceback has been shown.
    #[error(
        "the module {0} cannot be used as an application (see above); check its name, --working-directory, --python-path and --callable-object"
    )]
    NoImport(String),
}

impl Problem {
    /// Whether the command line is at fault, rather than the state of things.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::RootWithoutUser | Self::NoEntry { .. } | Self::NoFolder(_) | Self::NoPackage { .. })
    }
}

/// What is missing already, of what may still be missing when a server is only prepared.
pub fn missing(plan: &Plan, caller: u32) -> Vec<Problem> {
    let mut problems = Vec::new();
    if caller == 0 && plan.account.is_root() {
        problems.push(Problem::RootWithoutUser);
    }
    if !plan.working_directory.is_dir() {
        problems.push(Problem::NoFolder(plan.working_directory.clone()));
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

/// What people should know, and may well be meant: the folder of uploads is made later.
pub fn warnings(plan: &Plan) -> impl Iterator<Item = String> {
    plan.server.content.aliases.iter().filter(|alias| !alias.target.exists()).map(|alias| {
        let Alias { url, target, .. } = alias;
        format!("{target}, the target of --url-alias {url}, does not exist; until there is such a folder, what is below {url} is refused")
    })
}

/// Whether the ports are free.
///
/// # Errors
/// The port that is not.
pub fn ports(plan: &Plan) -> Result<(), Problem> {
    let sites = &plan.server.sites;
    let option = if plan.options.address.bind.is_empty() { "--port" } else { "--bind" };
    sites.listeners().try_for_each(|(address, port)| free(address.as_deref(), port, option))?;
    match &sites.tls {
        Some(tls) => free(sites.address.as_deref(), tls.port, "--https-port"),
        None => Ok(()),
    }
}

fn free(address: Option<&str>, port: u16, option: &'static str) -> Result<(), Problem> {
    let places: Vec<SocketAddr> = match address {
        Some(address) => format!("{address}:{port}").to_socket_addrs().into_iter().flatten().take(1).collect(),
        None => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
    };
    for place in places {
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

/// Whether the application's user can get at the files, where that user is another than the caller.
///
/// # Errors
/// The file that the user cannot read.
pub fn permissions(plan: &Plan, facts: &Facts, caller: u32) -> Result<(), Problem> {
    if caller == plan.account.uid {
        return Ok(());
    }
    let entry = Utf8Path::new(&plan.handler.entry_point);
    let mut files = vec![plan.root.path.join("handler.wsgi")];
    if plan.server.wsgi.hosting.is_some() {
        // The interpreter of a virtual environment is a link into the installation.
        files.extend(facts.executable.canonicalize_utf8());
        files.extend(entry.is_absolute().then(|| entry.to_owned()));
    }
    for path in files {
        if let Some(at) = barrier(&path, &plan.account) {
            return Err(Problem::Unreachable { user: plan.account.user.clone(), path, at });
        }
    }
    Ok(())
}

/// Whether the application's user can write to the folders of the tools.
///
/// # Errors
/// The folder that the user cannot write to.
pub fn outputs(plan: &Plan) -> Result<(), Problem> {
    let user = &plan.account;
    let refused = plan.tools.outputs().find(|(_, folder)| !may(user, folder, WRITE | ENTER));
    refused.map_or(Ok(()), |(tool, folder)| {
        Err(Problem::Unwritable { user: user.user.clone(), option: tool.option, path: folder.to_owned() })
    })
}

/// Rights, as the permissions of others have them.
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const ENTER: u32 = 0o1;

/// The first folder on the way to a file that the user may not enter, or the file if they may not read it.
fn barrier(path: &Utf8Path, account: &Account) -> Option<Utf8PathBuf> {
    let mut way: Vec<_> = path.ancestors().collect();
    way.reverse();
    way.into_iter().find(|step| !may(account, step, if step.is_dir() { ENTER } else { READ })).map(Utf8Path::to_owned)
}

/// Whether the user has these rights, or there is nothing to have them on. Further groups of the user are not looked
/// at: they are few, and a wrong answer would stop a good server.
fn may(account: &Account, path: &Utf8Path, wanted: u32) -> bool {
    let Ok(found) = path.metadata() else { return true };
    let shift = match () {
        () if found.uid() == account.uid => 6,
        () if found.gid() == account.gid => 3,
        () => 0,
    };
    let has = |shift: u32| found.mode() & (wanted << shift) == wanted << shift;
    has(shift) || (shift == 0 && has(3))
}

/// Whether the interpreter has the packages that options need.
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
            for folder in sys.argv[2:]: site.addsitedir(folder)\n\
            try: missing = importlib.util.find_spec(sys.argv[1]) is None\n\
            except ModuleNotFoundError: missing = True\n\
            sys.exit(missing)";
        Facts::hide_from(&mut command).args(["-c", find, module]).args(&plan.python_path);
        let found = command.current_dir(&plan.working_directory).stdin(Stdio::null()).stderr(Stdio::null()).status();
        let python = facts.executable.clone();
        match found {
            Ok(status) if status.success() => {}
            Ok(_) => return Err(Problem::NoPackage { option, package, python }),
            Err(source) => return Err(Problem::NoPython { python, source }),
        }
    }
    Ok(())
}

/// Whether the application's module can be imported and has the callable. Takes no longer than the startup timeout:
/// what is slower gets no verdict.
///
/// # Errors
/// [`Problem::NoImport`] when it cannot; the traceback is on standard error then.
pub fn import(plan: &Plan, facts: &Facts, caller: u32) -> Result<(), Problem> {
    if plan.handler.application_type != "module" {
        return Ok(());
    }
    let mut command = Command::new(&facts.executable);
    Facts::hide_from(&mut command)
        .args(["-c", IMPORT, &plan.handler.entry_point, &plan.handler.callable_object])
        .args(&plan.python_path)
        .env("LC_ALL", &plan.locale)
        .env("LANG", &plan.locale)
        .envs(&plan.handler.environ)
        .current_dir(&plan.working_directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    variables(plan, caller, &mut command)?;
    if caller == 0 {
        command.uid(plan.account.uid).gid(plan.account.gid);
    }
    let mut child = command.spawn().map_err(|source| Problem::NoPython { python: facts.executable.clone(), source })?;
    let said = listen(child.stderr.take());
    let limit = Duration::from_secs(plan.options.timeouts.startup_timeout.into());
    if ended(child, limit) != Some(false) {
        return Ok(());
    }
    // Something that the module has started may hold the pipe open for longer than it matters.
    if let Ok(traceback) = said.recv_timeout(Duration::from_secs(1)) {
        eprint!("{}", String::from_utf8_lossy(&traceback));
    }
    Err(Problem::NoImport(plan.handler.entry_point.clone()))
}

/// Sets what the files of variables say, read as whoever starts the daemons will.
fn variables(plan: &Plan, caller: u32, command: &mut Command) -> Result<(), Problem> {
    let Account { uid, gid, user, .. } = &plan.account;
    let name = if user.starts_with('#') { "" } else { user };
    for path in &plan.env_files {
        let failed = |reason: String| Problem::EnvFile { path: path.clone(), reason };
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

/// All that comes out of a pipe, when it has been closed.
fn listen(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // What can be read is shown; nobody may be waiting any more.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut text));
        let _ = sender.send(text);
    });
    receiver
}

/// Whether a process ended well; `None` when it had to be stopped.
fn ended(mut child: Child, limit: Duration) -> Option<bool> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
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
    use std::os::unix::fs::DirBuilderExt;

    use super::*;

    #[test]
    fn a_taken_port_is_noticed() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(free(Some("127.0.0.1"), port, "--port"), Err(Problem::PortInUse(p, _)) if p == port));
        drop(taken);
        assert!(free(Some("127.0.0.1"), port, "--port").is_ok());
    }

    #[test]
    fn private_folders_stand_in_the_way() {
        let nobody = Account { user: "nobody".into(), group: "nogroup".into(), uid: 65534, gid: 65534 };
        assert_eq!(barrier("/etc/passwd".into(), &nobody), None);
        let private = std::env::temp_dir().join(format!("express-barrier-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&private).unwrap();
        let private = Utf8PathBuf::from_path_buf(private).unwrap();
        assert_eq!(barrier(&private.join("app.wsgi"), &nobody).as_ref(), Some(&private));
        std::fs::remove_dir(&private).unwrap();
    }
}
