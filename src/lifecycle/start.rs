//! `post_config`: the configuration is complete; the process groups start.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use wsgi_unix::files::{self, FileError, Owners};
use wsgi_wire::messages::{Topic, configuration};
use wsgi_wire::settings::Server as ServerFacts;

use super::check::{self, warn_of_undefined_groups};
use super::supervisor;
use crate::daemons::configure::{LogStyle, Surroundings, configure, embedded};
use crate::daemons::installation::{Installation, InstallationError};
use crate::daemons::parent::{Launch, launch};
use crate::daemons::{self, Runtime};
use crate::directives::configuration::{Configuration, DRAFT, InterpreterSection};
use crate::directives::group::Group;
use crate::httpd::identity;
use crate::httpd::pool::Pool;
use crate::httpd::records::Purpose;
use crate::httpd::server::{self, Run, Server, runtime_path};
use crate::httpd::shared::scoreboard::SharedScoreboard;
use crate::httpd::{HookStatus, auth, control, log, process, records, tree};
use crate::policy::observed_variables::ObservedVariables;
use crate::policy::reachable_scripts::ReachableScripts;
use crate::policy::tree::Node;
use crate::policy::{proxies, single_application, words};
use crate::relay::group::Sockets;
use crate::relay::idle::IdleConnections;

/// Why the process groups cannot start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot make the process table in memory: {0}")]
    Table(io::Error),
    #[error("cannot find out where mod_wsgi.so was loaded from; mod_wsgi-supervisor is expected beside it")]
    Place,
    #[error(transparent)]
    Installation(#[from] InstallationError),
    #[error("cannot start the supervisor of the daemon processes: {0}")]
    Supervisor(io::Error),
    #[error("the default path of the daemon sockets cannot be used; set WSGISocketPrefix to a short path")]
    SocketPrefix,
    #[error(
        "the sockets of the daemon processes cannot be made in {}: {reason}; name another place with WSGISocketPrefix (--socket-prefix)",
        .directory.display()
    )]
    SocketDirectory { directory: PathBuf, reason: FileError },
    #[error("Apache's User (uid {0}) does not exist on this machine; correct the User directive")]
    User(u32),
    #[error("there are more than {} process groups, which is the most a server can have", wsgi_wire::table::GROUPS)]
    Groups,
}

/// Takes the configuration that was read. Starts nothing in a configuration test or at the first of the two readings at
/// start.
pub fn post_config(pconf: Pool<'_>, temporary: Pool<'_>, main: Server<'_>) -> HookStatus {
    let mut configuration =
        std::mem::replace(&mut *DRAFT.lock().unwrap_or_else(PoisonError::into_inner), Configuration::EMPTY);
    if let Ok(own) = std::ffi::CString::new(format!("mod_wsgi/{}", crate::VERSION)) {
        server::add_component(pconf, &own);
    }
    if let Some(python) = python_component() {
        server::add_component(pconf, &python);
    }
    if server::run() != Run::Real {
        return HookStatus::Ok;
    }
    let (built, magic) = check::built_for();
    log::server(
        main,
        Topic::INFO,
        format_args!("built with the headers of Apache {built} ({magic}); this is Apache {}", check::running()),
    );
    // A group's server may have got its ServerName after the group.
    for group in &mut configuration.groups {
        if let Some(server) = main.all().find(|s| s.id() == group.origin.id) {
            group.origin.hostname = server.hostname().map(<[u8]>::to_vec);
        }
    }
    let in_vain = |s: &&InterpreterSection| s.application_group.is_some() && s.settings.free_threading.is_some();
    for section in configuration.sections.iter().filter(in_vain) {
        let name = String::from_utf8_lossy(section.application_group.as_deref().unwrap_or_default());
        log::server(
            main,
            &configuration::FREE_THREADING_OF_GROUP,
            format_args!(
                "WSGIFreeThreading in the section for application-group={name} is ignored: it is for whole processes; put it at the top level, or \
                 into a section without application-group"
            ),
        );
    }
    if proxies::believe_everybody(&tree::configuration()) {
        log::server(
            main,
            &configuration::EVERY_PROXY_IS_TRUSTED,
            format_args!(
                "WSGITrustedProxyHeaders without WSGITrustedProxies believes these headers whoever sends them, so that any client chooses its own \
                 address: name the proxies"
            ),
        );
    }
    warn_of_undefined_groups(&configuration, main);
    warn_of_locales(&configuration, main);
    if configuration.restrict_embedded && ReachableScripts::read(&tree::configuration()).need_access_group() {
        configuration.add_access_group();
    }
    match start(&configuration, pconf, temporary, main) {
        Ok(runtime) => {
            daemons::set_current(Some(Arc::new(runtime)));
            HookStatus::Ok
        }
        Err(error) => {
            log::server(main, &configuration::CANNOT_START, format_args!("{error}"));
            HookStatus::Status(500)
        }
    }
}

/// A locale that the system does not have is as good as none: Python falls back to plain C, and libraries to English
/// and ASCII, without a word. Behind a `chroot` there are others.
fn warn_of_locales(configuration: &Configuration, main: Server<'_>) {
    for group in configuration.groups.iter().filter(|group| group.options.chroot.is_none()) {
        let lang = group.options.lang.as_ref().filter(|lang| Some(*lang) != group.options.locale.as_ref());
        let given = [("locale", group.options.locale.as_ref()), ("lang", lang)];
        for (option, name) in given.into_iter().filter_map(|(option, name)| Some((option, name?))) {
            if !process::has_locale(name) {
                let server = main.all().find(|server| server.id() == group.origin.id).unwrap_or(main);
                let (name, group) = (String::from_utf8_lossy(name), String::from_utf8_lossy(&group.name));
                log::server(
                    server,
                    &configuration::UNKNOWN_LOCALE,
                    format_args!(
                        "{option}={name} of WSGIDaemonProcess {group} has no effect: this system has no such locale; `locale -a` lists those it \
                         has, C.UTF-8 among them"
                    ),
                );
            }
        }
    }
}

fn start(
    configuration: &Configuration,
    pconf: Pool<'_>,
    temporary: Pool<'_>,
    main: Server<'_>,
) -> Result<Runtime, StartError> {
    let prefix = match &configuration.socket_prefix {
        Some(prefix) => prefix.clone(),
        None => runtime_path(pconf, c"wsgi").ok_or(StartError::SocketPrefix)?,
    };
    let socket_prefix = String::from_utf8(prefix).map_err(|_| StartError::SocketPrefix)?;
    let module = control::module_path().ok_or(StartError::Place)?;
    let installation = Installation::find(module, configuration.python.home.as_deref());
    let package = installation.as_ref().ok().and_then(|i| i.package.as_deref());
    let around = surroundings(package, &socket_prefix, temporary, main)?;
    let mut runtime = Runtime {
        groups: HashMap::new(),
        table: None,
        scoreboard: None,
        records: None,
        spans: None,
        generation: around.generation,
        sockets: Sockets { prefix: socket_prefix, parent: std::process::id(), idle: IdleConnections::default() },
        embedded: (!configuration.restrict_embedded).then(|| embedded(configuration, &around)),
        case_sensitive: configuration.case_sensitive,
        observed_variables: ObservedVariables::read(&tree::configuration()),
        lingers: configuration.lingers,
        caches_passwords: caches(&tree::configuration()),
    };
    // Metrics and traces are sent by the supervisor. One of an earlier configuration must hear that it has no groups
    // any more.
    let open = configuration.telemetry.open.as_ref();
    if !configuration.groups.is_empty() || open.is_some() || control::supervisor().is_some() {
        let memory = control::memory().map_err(StartError::Table)?;
        let table = memory.table;
        let names: Vec<&[u8]> = configuration.groups.iter().map(|group| group.name.as_slice()).collect();
        let records = table.assign(&names, around.generation).ok_or(StartError::Groups)?;
        let workers = around.server.maximum_processes.saturating_mul(around.server.threads_per_process);
        // The configuration before, if this module was not unloaded since, is in force no more.
        daemons::set_current(None);
        let pages = control::pages(&records).map_err(StartError::Table)?;
        let places: Vec<_> = records.into_iter().zip(pages.iter().copied()).collect();
        runtime.groups = daemons::groups(configuration, around.generation, &places, main.timeout(), workers);
        runtime.table = Some(table);
        runtime.scoreboard = Some(memory.scoreboard).filter(SharedScoreboard::is_mapped);
        let records = records::make(Purpose::Records).map_err(StartError::Supervisor)?;
        runtime.records = Some(records);
        runtime.spans = match open {
            Some(open) => Some((records::make(Purpose::Export).map_err(StartError::Supervisor)?, open.sampling)),
            None => None,
        };
        let export = runtime.spans.map(|(socket, _)| socket);
        let configure = configure(configuration, &around, |group| style_of(group, main));
        let program = installation?.supervisor;
        program.checked()?;
        check_socket_directory(&runtime.sockets.prefix, main)?;
        let error_log = error_log(main).map_err(StartError::Supervisor)?;
        launch(Launch { supervisor: program, memory, pages, configure, error_log, records, export })
            .map_err(StartError::Supervisor)?;
        control::watch(pconf, supervisor::ended);
    }
    Ok(runtime)
}

/// Checks the directory of the daemons' sockets. Whoever could exchange the sockets would keep requests from being
/// served, though not get any: Apache's children look who listens. A directory that somebody else has made is refused,
/// and one that others may write to is worth a warning.
fn check_socket_directory(prefix: &str, main: Server<'_>) -> Result<(), StartError> {
    let directory = Path::new(prefix).parent().unwrap_or(Path::new("/"));
    let owners = identity::children().map_or_else(Owners::own, |(uid, _)| Owners::own().and(uid));
    match files::check_directory(directory, &owners) {
        Err(reason @ (FileError::Owner { .. } | FileError::Loop { .. })) => {
            Err(StartError::SocketDirectory { directory: directory.to_owned(), reason })
        }
        Err(reason @ FileError::Writable { .. }) => {
            log::server(
                main,
                &configuration::UNSAFE_SOCKET_DIRECTORY,
                format_args!("the sockets of the daemon processes are not safe: {reason}"),
            );
            Ok(())
        }
        // That it is missing is said by whoever makes the sockets.
        _ => Ok(()),
    }
}

/// Whether a section has `AuthnCacheProvideFor wsgi`, which lets mod_authn_socache remember what our provider finds
/// out.
fn caches(tree: &[Node]) -> bool {
    tree.iter().any(|node| {
        let is_for_us = || words::all(&node.arguments).iter().any(|provider| provider == auth::USERS.to_bytes());
        node.name.eq_ignore_ascii_case(b"AuthnCacheProvideFor") && is_for_us() || caches(&node.inside)
    })
}

fn is_file(path: &[u8]) -> bool {
    Path::new(OsStr::from_bytes(path)).is_file()
}

/// Collects what the supervisor must be told beside the configuration.
fn surroundings(
    package: Option<&Path>,
    socket_prefix: &str,
    temporary: Pool<'_>,
    main: Server<'_>,
) -> Result<Surroundings, StartError> {
    let (mpm, built, description) = server::description();
    let (maximum_processes, threads_per_process) = server::capacity();
    let children = match identity::children() {
        Some((uid, gid)) => Some((identity::user_by_id(temporary, uid).ok_or(StartError::User(uid))?, gid)),
        None => None,
    };
    let tree = tree::configuration();
    Ok(Surroundings {
        generation: control::next_generation(),
        parent: std::process::id(),
        socket_prefix: socket_prefix.to_owned(),
        children,
        users_vary: server::has_module(c"mpm_itk.c"),
        package: package.map(|directory| directory.as_os_str().as_bytes().to_vec()),
        server: ServerFacts {
            version: server::version(),
            description,
            mpm,
            built,
            maximum_processes,
            threads_per_process,
        },
        servers: u32::try_from(main.all().count()).unwrap_or(u32::MAX),
        single_applications: single_application::groups(&tree, is_file),
        scripts: ReachableScripts::read(&tree),
        log: log_style(main),
        vhost: main.hostname().unwrap_or_default().to_vec(),
        timeout: u32::try_from(main.timeout().as_secs()).unwrap_or(u32::MAX),
    })
}

/// The main server's error log; where it logs to syslog, standard error stands in.
fn error_log(main: Server<'_>) -> io::Result<OwnedFd> {
    let stderr = io::stderr();
    main.error_log().unwrap_or(stderr.as_fd()).try_clone_to_owned()
}

/// How the server of a group wants its records.
fn style_of(group: &Group, main: Server<'_>) -> LogStyle {
    log_style(main.all().find(|s| s.id() == group.origin.id).unwrap_or(main))
}

fn log_style(server: Server<'_>) -> LogStyle {
    LogStyle { level: server.log_level(), format: log::format(server) }
}

/// `Python/X.Y`, if the module's file tells for which Python it was installed: by its name (`mod_wsgi-py311.….so`), or,
/// where it is one for all, by its directory (`lib/python3.11/…`).
fn python_component() -> Option<std::ffi::CString> {
    let module = control::module_path()?;
    let version = version_in(module.file_name()?.to_str()?, "mod_wsgi-py").or_else(|| {
        let directories = module.parent()?.iter().filter_map(|directory| directory.to_str());
        directories.filter_map(|directory| version_in(&directory.replace('.', ""), "python")).next_back()
    })?;
    std::ffi::CString::new(format!("Python/{version}")).ok()
}

/// Finds a version behind a prefix in a name: `3.11` where that is followed by `311`.
fn version_in(name: &str, prefix: &str) -> Option<String> {
    let digits: String = name.strip_prefix(prefix)?.chars().take_while(char::is_ascii_digit).collect();
    let (major, minor) = digits.split_at_checked(1).filter(|(_, minor)| !minor.is_empty())?;
    Some(format!("{major}.{minor}"))
}
