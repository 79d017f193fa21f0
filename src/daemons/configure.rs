//! From the configuration to what the supervisor is told.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use wsgi_wire::codec::Bytes;
use wsgi_wire::control::{Configure, Group as WireGroup, Identity, Limit, Resource, Spawn};
use wsgi_wire::interface::Interface;
use wsgi_wire::limits::INTERPRETERS;
use wsgi_wire::record::{Format, Level};
use wsgi_wire::settings::{Daemon, Interpreter, Preload, Server, Telemetry};

use crate::directives::configuration::{Configuration, InterpreterSettings};
use crate::directives::group::{Group, GroupOptions, ScriptReload};
use crate::embedded::Plan;
use crate::httpd::user::User;
use crate::policy::origin::Origin;
use crate::policy::path::inside;
use crate::policy::reachable_scripts::ReachableScripts;

/// What the supervisor must be told beside the configuration: facts about this Apache and its machine.
pub struct Surroundings {
    /// The number of this configuration, counted from 1.
    pub generation: u32,
    /// The Apache parent's pid.
    pub parent: u32,
    /// `WSGISocketPrefix`, as an absolute path.
    pub socket_prefix: String,
    /// `User` and `Group` of Apache; `None` unless it runs as root.
    pub children: Option<(User, u32)>,
    /// Whether Apache's children take the user of each virtual host (mpm_itk), instead of that one.
    pub users_vary: bool,
    /// The directory that holds the Python package beside this module.
    pub package: Option<Vec<u8>>,
    /// Facts about this Apache.
    pub server: Server,
    /// How many servers there are: the main one and the virtual hosts.
    pub servers: u32,
    /// The process groups that are known to serve one application.
    pub single_applications: BTreeSet<Vec<u8>>,
    /// Where requests of process groups may lead.
    pub scripts: ReachableScripts,
    /// What the main server logs.
    pub log: LogStyle,
    /// The `ServerName` of the virtual host.
    pub vhost: Vec<u8>,
    /// Apache's `Timeout`, in seconds.
    pub timeout: u32,
}

/// What a server wants to be logged, and how.
#[derive(Debug, Clone, Copy)]
pub struct LogStyle {
    /// The level of this module.
    pub level: Level,
    /// The value of `WSGILogFormat`.
    pub format: Format,
}

fn bytes(text: &[u8]) -> Bytes {
    Bytes::from(text)
}

fn list(texts: &[Vec<u8>]) -> Vec<Bytes> {
    texts.iter().map(|text| bytes(text)).collect()
}

fn optional(text: Option<&Vec<u8>>) -> Option<Bytes> {
    text.map(|t| bytes(t))
}

/// The message that starts or replaces all groups. `log` tells what the server of each of them wants.
pub fn configure(configuration: &Configuration, around: &Surroundings, log: impl Fn(&Group) -> LogStyle) -> Configure {
    Configure {
        generation: around.generation,
        log_level: around.log.level,
        log_format: around.log.format,
        vhost: bytes(&around.vhost),
        socket_prefix: around.socket_prefix.clone(),
        parent: around.parent,
        children: around.children.as_ref().map(|(user, gid)| (user.uid, *gid)),
        export: configuration.telemetry.open.as_ref().map(|open| open.export.clone()),
        groups: configuration.groups.iter().map(|g| group(configuration, around, g, log(g))).collect(),
    }
}

fn group(configuration: &Configuration, around: &Surroundings, group: &Group, log: LogStyle) -> WireGroup {
    WireGroup {
        processes: group.options.processes.unwrap_or(1),
        spawn: spawn(configuration, around, group),
        daemon: daemon(configuration, around, group, log),
    }
}

fn spawn(configuration: &Configuration, around: &Surroundings, group: &Group) -> Spawn {
    let options = &group.options;
    let python = &configuration.python;
    let (python_home, python_home_from) = match (&options.python_home, &python.home) {
        (Some(home), _) => {
            (Some(home), format!("python-home of WSGIDaemonProcess {}", String::from_utf8_lossy(&group.name)))
        }
        (None, Some(home)) => (Some(home), "WSGIPythonHome".to_owned()),
        (None, None) => (None, String::new()),
    };
    let env = [
        (&b"LANG"[..], options.lang.as_ref()),
        (b"LC_ALL", options.locale.as_ref()),
        (b"PYTHONHASHSEED", python.hash_seed.as_ref()),
    ];
    Spawn {
        identity: around.children.as_ref().map(|(user, gid)| identity(group, user, *gid)),
        chroot: optional(options.chroot.as_ref()),
        home: optional(options.home.as_ref()),
        umask: options.umask,
        nice: options.cpu_priority,
        limits: limits(group),
        env: options
            .env
            .iter()
            .map(|(name, value)| (&name[..], Some(value)))
            .chain(env)
            .filter_map(|(name, value)| Some((bytes(name), bytes(value?))))
            .collect(),
        pass_env: list(&options.pass_env),
        new_privileges: !options.no_new_privileges,
        env_files: list(&options.env_files),
        python_home: optional(python_home),
        python_home_from,
        python_flags: python_flags(configuration),
        package: optional(around.package.as_ref()),
        socket_user: socket_user(around, group),
        backlog: options.listen_backlog,
        send_buffer: options.send_buffer_size,
        receive_buffer: options.receive_buffer_size,
    }
}

/// The user who connects to a group's processes: `socket-user`; without it the user of Apache's children, or, where
/// each virtual host has a user of its own, the user of the group, whom its virtual host should have, too.
fn socket_user(around: &Surroundings, group: &Group) -> Option<u32> {
    let (children, gid) = around.children.as_ref()?;
    let usual = if around.users_vary { identity(group, children, *gid).uid } else { children.uid };
    Some(group.options.socket_user.as_ref().map_or(usual, |user| user.uid))
}

/// The user and groups of a group's processes, where Apache runs as root.
pub fn identity(group: &Group, apache: &User, apache_gid: u32) -> Identity {
    let options = &group.options;
    let user = options.user.as_ref().unwrap_or(apache);
    Identity {
        uid: user.uid,
        gid: options.group.unwrap_or(apache_gid),
        name: bytes(&user.name),
        groups: options.supplementary_groups.clone(),
        home: user.home.as_ref().map(|h| bytes(h)),
    }
}

/// The hard limit of CPU time leaves room to end in order (`directives.md` §2, `cpu-time-limit`).
fn limits(group: &Group) -> Vec<Limit> {
    let options = &group.options;
    let cpu_hard = options.cpu_time_limit + 1 + u64::from(options.shutdown_timeout);
    [
        (Resource::Cpu, options.cpu_time_limit, cpu_hard),
        (Resource::Data, options.memory_limit, options.memory_limit),
        (Resource::AddressSpace, options.virtual_memory_limit, options.virtual_memory_limit),
    ]
    .into_iter()
    .filter(|(_, soft, _)| *soft > 0)
    .map(|(resource, soft, hard)| Limit { resource, soft, hard })
    .collect()
}

fn python_flags(configuration: &Configuration) -> Vec<Bytes> {
    let python = &configuration.python;
    let mut flags = vec![bytes(b"-O"); python.optimize.into()];
    if python.dont_write_bytecode {
        flags.push(bytes(b"-B"));
    }
    for warning in &python.warnings {
        flags.extend([bytes(b"-W"), bytes(warning)]);
    }
    flags
}

fn daemon(configuration: &Configuration, around: &Surroundings, group: &Group, log: LogStyle) -> Daemon {
    let (options, telemetry) = (&group.options, &configuration.telemetry);
    Daemon {
        group: bytes(&group.name),
        slot: 0,
        secret: 0,
        generation: 0,
        apache: around.parent,
        processes: options.processes.unwrap_or(1),
        multiprocess: options.processes.is_some(),
        threads: options.threads,
        interface: options.interface,
        event_loop: bytes(&options.event_loop),
        lifespan: options.lifespan,
        limit_concurrency: options.limit_concurrency,
        disconnect_grace: options.disconnect_grace,
        ws_max_size: options.ws_max_size,
        ws_max_queue: options.ws_max_queue,
        ws_graceful_timeout: options.ws_graceful_timeout.unwrap_or(options.graceful_timeout),
        stack_size: options.stack_size,
        display_name: options.display_name.as_ref().map(|name| bytes(&display_name(name, &group.name))),
        home: optional(options.home.as_ref()),
        python_path: list(&options.python_path),
        python_eggs: optional(options.python_eggs.as_ref()),
        switch_interval: options.switch_interval.unwrap_or(0.0),
        scripts: configuration
            .preloads
            .iter()
            .filter(|p| p.process_group == group.name)
            .map(|p| Preload {
                script: bytes(options.chroot.as_ref().and_then(|root| inside(root, &p.script)).unwrap_or(&p.script)),
                application_group: match options.interface {
                    Interface::Wsgi => bytes(&p.application_group),
                    // One event loop, one interpreter.
                    Interface::Asgi | Interface::Auto => Bytes::default(),
                },
                callable: bytes(&p.callable),
            })
            .collect(),
        inherited: Vec::new(),
        allowed: around.scripts.of(&group.name).map(|places| {
            let seen =
                |place: &Vec<u8>| bytes(options.chroot.as_ref().and_then(|root| inside(root, place)).unwrap_or(place));
            places.iter().map(seen).collect()
        }),
        known_failures: Vec::new(),
        rolling_reload: options.script_reload == ScriptReload::Rolling,
        maximum_requests: options.maximum_requests,
        startup_timeout: options.startup_timeout,
        shutdown_timeout: options.shutdown_timeout,
        deadlock_timeout: options.deadlock_timeout,
        inactivity_timeout: options.inactivity_timeout,
        request_timeout: options.request_timeout,
        request_timeout_scaling: options.request_timeout_scaling,
        interrupt_timeout: options.interrupt_timeout,
        graceful_timeout: options.graceful_timeout,
        eviction_timeout: options.eviction_timeout,
        restart_interval: options.restart_interval,
        rss_limit: options.rss_limit,
        queue_timeout: options.queue_timeout,
        socket_timeout: if options.socket_timeout == 0 { around.timeout } else { options.socket_timeout },
        server_metrics: options.server_metrics,
        telemetry: telemetry.service.as_ref().map(|(socket, interval)| Telemetry {
            socket: bytes(options.chroot.as_ref().and_then(|root| inside(root, socket)).unwrap_or(socket)),
            interval: *interval,
            user_agent: telemetry.user_agent,
        }),
        slow_requests: telemetry.slow_requests,
        interpreters: interpreters(configuration, &group.name),
        interpreter_limit: interpreter_limit(configuration, around),
        free_threading: free_threading(configuration, &group.name),
        single_application: configuration.single_interpreter && around.single_applications.contains(&group.name),
        destroy_interpreter: configuration.destroy_interpreter,
        case_sensitive: configuration.case_sensitive,
        children: socket_user(around, group),
        log_level: log.level,
        log_format: log.format,
        vhost: bytes(group.origin.hostname.as_deref().unwrap_or(&around.vhost)),
        server: around.server.clone(),
    }
}

/// What an Apache child needs for requests without a process group: the settings of a group without a name, in a
/// process that Apache manages.
pub fn embedded(configuration: &Configuration, around: &Surroundings) -> Plan {
    let group = Group { name: Vec::new(), origin: Origin::default(), options: GroupOptions::default() };
    let server = &around.server;
    let settings = Daemon {
        processes: server.maximum_processes.max(1),
        multiprocess: server.maximum_processes != 1,
        threads: server.threads_per_process.max(1),
        python_eggs: optional(configuration.python.eggs.as_ref()),
        server_metrics: configuration.server_metrics,
        allowed: None,
        ..daemon(configuration, around, &group, around.log)
    };
    let python = &configuration.python;
    let numbers = [("PYTHONOPTIMIZE", python.optimize), ("PYTHONDONTWRITEBYTECODE", python.dont_write_bytecode.into())];
    let numbers = numbers.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name, n.to_string().into_bytes()));
    let warnings = (!python.warnings.is_empty()).then(|| ("PYTHONWARNINGS", python.warnings.join(&b',')));
    let seed = python.hash_seed.as_ref().map(|seed| ("PYTHONHASHSEED", seed.clone()));
    Plan {
        python_home: python.home.clone(),
        environment: numbers.chain(warnings).chain(seed).collect(),
        package: around.package.clone(),
        settings,
    }
}

/// `%{GROUP}` is `(wsgi:name)`; anything else is literal.
fn display_name(name: &[u8], group: &[u8]) -> Vec<u8> {
    if name == b"%{GROUP}" { [b"(wsgi:", group, b")"].concat() } else { name.to_vec() }
}

/// The layers of interpreter settings for a group, the least specific first; of equals the later one wins by coming
/// later.
fn interpreters(configuration: &Configuration, group: &[u8]) -> Vec<Interpreter> {
    let layer = |application_group: Option<&Vec<u8>>, s: &InterpreterSettings| Interpreter {
        application_group: optional(application_group),
        python_path: s.python_path.iter().map(|p| bytes(p)).collect(),
        restrict_stdin: s.restrict_stdin,
        restrict_stdout: s.restrict_stdout,
        restrict_signal: s.restrict_signal,
        switch_interval: s.switch_interval,
        own_gil: s.own_gil,
    };
    // The top-level WSGIPythonPath is for embedded mode, whose group has no name, only.
    let python_path = if group.is_empty() { configuration.interpreters.python_path.clone() } else { Vec::new() };
    let top = InterpreterSettings { python_path, ..configuration.interpreters.clone() };
    let mut sections: Vec<_> =
        configuration.sections.iter().filter(|s| s.process_group.as_deref().is_none_or(|name| name == group)).collect();
    sections.sort_by_key(|s| s.specificity());
    let sections = sections.into_iter().map(|s| layer(s.application_group.as_ref(), &s.settings));
    std::iter::once(layer(None, &top)).chain(sections).collect()
}

/// The bound on a process's interpreters: [`INTERPRETERS`], or the main interpreter and one for each application and
/// virtual host of the configuration, where those are more.
fn interpreter_limit(configuration: &Configuration, around: &Surroundings) -> u32 {
    configuration.applications.saturating_add(around.servers).saturating_add(1).max(INTERPRETERS)
}

/// `WSGIFreeThreading` is for whole processes: sections for single application groups do not count. Of the others the
/// more specific one wins, and of equals the later one.
fn free_threading(configuration: &Configuration, group: &[u8]) -> bool {
    let sections = configuration.sections.iter().filter(|s| s.application_group.is_none());
    let sections = sections.filter(|s| s.process_group.as_deref().is_none_or(|name| name == group));
    let given = sections.filter_map(|s| Some((s.specificity(), s.settings.free_threading?)));
    let (_, wanted) = given
        .max_by_key(|(specificity, _)| *specificity)
        .unwrap_or((0, configuration.interpreters.free_threading.unwrap_or(false)));
    wanted
}

#[cfg(test)]
mod tests;
