//! `post_config`: the configuration is complete; the process groups start.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use wsgi_unix::files::{self, FileError, Owners};
use wsgi_wire::messages::{Topic, configuration};

use super::check::{self, warn_of_undefined_groups};
use super::supervisor;
use super::surroundings::{UnknownUser, caches, log_style, name_ourselves, surroundings, warn_of_mistakes};
use super::verdict;
use super::websockets::suspended;
use crate::daemons::configure::{LogStyle, configure, embedded};
use crate::daemons::installation::{Installation, InstallationError};
use crate::daemons::parent::{Launch, launch};
use crate::daemons::{self, Runtime};
use crate::directives::configuration::{Configuration, DRAFT};
use crate::directives::group::Group;
use crate::httpd::identity;
use crate::httpd::pool::Pool;
use crate::httpd::records::Purpose;
use crate::httpd::server::{self, Run, Server, runtime_path};
use crate::httpd::shared::scoreboard::SharedScoreboard;
use crate::httpd::{HookStatus, control, log, records, tree};
use crate::policy::observed_variables::ObservedVariables;
use crate::policy::reachable_scripts::ReachableScripts;
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
    #[error(transparent)]
    User(#[from] UnknownUser),
    #[error("the application cannot be loaded; mod_wsgi-express has said why where it was started")]
    Application,
    #[error("there are more than {} process groups, which is the most a server can have", wsgi_wire::table::GROUPS)]
    Groups,
}

/// Takes the configuration that was read. Starts nothing in a configuration test or at the first of the two readings at
/// start.
pub fn post_config(pconf: Pool<'_>, temporary: Pool<'_>, main: Server<'_>) -> HookStatus {
    let mut configuration =
        std::mem::replace(&mut *DRAFT.lock().unwrap_or_else(PoisonError::into_inner), Configuration::EMPTY);
    name_ourselves(pconf);
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
    warn_of_mistakes(&configuration, main);
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
            if !wsgi_unix::has_locale(name) {
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
        suspended: suspended(configuration, main),
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
    // While the processes load the application.
    if !verdict::is_good() {
        return Err(StartError::Application);
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

/// The main server's error log; where it logs to syslog, standard error stands in.
fn error_log(main: Server<'_>) -> io::Result<OwnedFd> {
    let stderr = io::stderr();
    main.error_log().unwrap_or(stderr.as_fd()).try_clone_to_owned()
}

/// How the server of a group wants its records.
fn style_of(group: &Group, main: Server<'_>) -> LogStyle {
    log_style(main.all().find(|s| s.id() == group.origin.id).unwrap_or(main))
}
