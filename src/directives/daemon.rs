//! `WSGIDaemonProcess`: the options of a process group.
#![forbid(unsafe_code)]

use wsgi_wire::environment;

use super::Line;
use super::configuration::{Configuration, Group};
use crate::httpd::identity::{self, User};
use crate::httpd::pool::Pool;
use crate::policy::words::{Invalid, Value, option, show, word};

/// The options of a process group. Times are in seconds, 0 means "none" unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is the option of its name; its meaning is in the user guide")]
pub struct GroupOptions {
    /// How many processes; `None` if not given, which tells applications that there is only one.
    pub processes: Option<u32>,
    pub threads: u32,
    pub user: Option<User>,
    pub group: Option<u32>,
    pub supplementary_groups: Option<Vec<u32>>,
    pub umask: Option<u32>,
    pub chroot: Option<Vec<u8>>,
    pub home: Option<Vec<u8>>,
    pub lang: Option<Vec<u8>>,
    pub locale: Option<Vec<u8>>,
    /// Names and values.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub env_files: Vec<Vec<u8>>,
    /// `pass-env`: variables of Apache's own environment.
    pub pass_env: Vec<Vec<u8>>,
    /// `no-new-privileges`: no program that a process runs has other rights than the process.
    pub no_new_privileges: bool,
    pub python_home: Option<Vec<u8>>,
    pub python_path: Vec<Vec<u8>>,
    pub python_eggs: Option<Vec<u8>>,
    pub switch_interval: Option<f64>,
    /// Bytes; 0 is the system's own.
    pub stack_size: u64,
    pub display_name: Option<Vec<u8>>,
    pub maximum_requests: u64,
    pub startup_timeout: u32,
    pub shutdown_timeout: u32,
    pub deadlock_timeout: u32,
    pub inactivity_timeout: u32,
    pub request_timeout: u32,
    pub request_timeout_scaling: bool,
    pub interrupt_timeout: u32,
    pub graceful_timeout: u32,
    pub eviction_timeout: u32,
    pub restart_interval: u32,
    pub connect_timeout: u32,
    /// 0 is Apache's `Timeout`.
    pub socket_timeout: u32,
    /// Bytes.
    pub rss_limit: u64,
    /// 0 is without limit, `None` a share of what Apache can serve.
    pub queue_size: Option<u32>,
    pub queue_timeout: u32,
    /// 0 is without limit, `None` a share of what Apache can serve.
    pub worker_limit: Option<u32>,
    pub socket_user: Option<User>,
    pub listen_backlog: u32,
    /// Bytes; 0 is the system's own.
    pub send_buffer_size: u32,
    /// Bytes; 0 is the system's own.
    pub receive_buffer_size: u32,
    /// The longest line of a response head, bytes.
    pub header_buffer_size: u32,
    /// 0 leaves the client's socket as it is.
    pub response_socket_timeout: u32,
    /// Milliseconds to wait for more of a response before what is there is sent to the client.
    pub response_flush_delay: u32,
    pub script_user: Option<User>,
    pub script_group: Option<u32>,
    pub cpu_time_limit: u64,
    pub cpu_priority: Option<i32>,
    /// Bytes.
    pub memory_limit: u64,
    /// Bytes.
    pub virtual_memory_limit: u64,
    pub server_metrics: bool,
    pub script_reload: ScriptReload,
}

/// What becomes of requests that come after a script has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScriptReload {
    /// They wait for the new code.
    #[default]
    Wait,
    /// The old code answers until the new one is ready.
    Rolling,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            processes: None,
            threads: 15,
            user: None,
            group: None,
            supplementary_groups: None,
            umask: None,
            chroot: None,
            home: None,
            lang: None,
            locale: None,
            env: Vec::new(),
            env_files: Vec::new(),
            pass_env: Vec::new(),
            no_new_privileges: true,
            python_home: None,
            python_path: Vec::new(),
            python_eggs: None,
            switch_interval: None,
            stack_size: 0,
            display_name: None,
            maximum_requests: 0,
            startup_timeout: 0,
            shutdown_timeout: 5,
            deadlock_timeout: 300,
            inactivity_timeout: 0,
            request_timeout: 0,
            request_timeout_scaling: false,
            interrupt_timeout: 0,
            graceful_timeout: 15,
            eviction_timeout: 0,
            restart_interval: 0,
            connect_timeout: 15,
            socket_timeout: 0,
            rss_limit: 0,
            queue_size: None,
            queue_timeout: 0,
            worker_limit: None,
            socket_user: None,
            listen_backlog: 100,
            send_buffer_size: 0,
            receive_buffer_size: 0,
            header_buffer_size: 32768,
            response_socket_timeout: 0,
            response_flush_delay: 0,
            script_user: None,
            script_group: None,
            cpu_time_limit: 0,
            cpu_priority: None,
            memory_limit: 0,
            virtual_memory_limit: 0,
            server_metrics: false,
            script_reload: ScriptReload::Wait,
        }
    }
}

/// Parses one option into the field it stands for.
type Setter = fn(&mut GroupOptions, Value<'_>, Pool<'_>) -> Result<(), Invalid>;

fn put<T>(place: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *place = value?;
    Ok(())
}

fn some<T>(place: &mut Option<T>, value: Result<T, Invalid>) -> Result<(), Invalid> {
    put(place, value.map(Some))
}

/// Every option, by name.
const OPTIONS: &[(&str, Setter)] = &[
    ("processes", |o, v, _| some(&mut o.processes, v.number(1..=512))),
    ("threads", |o, v, _| put(&mut o.threads, v.number(0..=65_533))),
    ("user", |o, v, pool| some(&mut o.user, unprivileged(v, pool))),
    ("group", |o, v, pool| some(&mut o.group, group(v.option, &v.text, pool))),
    ("supplementary-groups", |o, v, pool| some(&mut o.supplementary_groups, groups(&v, pool))),
    ("umask", |o, v, _| some(&mut o.umask, v.octal())),
    ("chroot", |o, v, _| some(&mut o.chroot, chroot(v))),
    ("home", |o, v, _| some(&mut o.home, v.absolute())),
    ("lang", |o, v, _| some(&mut o.lang, v.text())),
    ("locale", |o, v, _| some(&mut o.locale, v.text())),
    ("env", |o, v, _| variable(&v).map(|variable| o.env.push(variable))),
    ("pass-env", |o, v, _| names(&v).map(|names| o.pass_env.extend(names))),
    ("no-new-privileges", |o, v, _| put(&mut o.no_new_privileges, v.flag())),
    ("env-file", |o, v, _| v.absolute().map(|path| o.env_files.push(path))),
    ("python-home", |o, v, _| some(&mut o.python_home, v.text())),
    ("python-path", |o, v, _| put(&mut o.python_path, Ok(v.paths()))),
    ("python-eggs", |o, v, _| some(&mut o.python_eggs, v.text())),
    ("switch-interval", |o, v, _| some(&mut o.switch_interval, v.positive())),
    ("stack-size", |o, v, _| put(&mut o.stack_size, v.number(1..=i64::MAX as u64))),
    ("display-name", |o, v, _| some(&mut o.display_name, v.text())),
    ("maximum-requests", |o, v, _| put(&mut o.maximum_requests, v.number(0..=i64::MAX as u64))),
    ("startup-timeout", |o, v, _| put(&mut o.startup_timeout, v.seconds())),
    ("shutdown-timeout", |o, v, _| put(&mut o.shutdown_timeout, v.seconds())),
    ("deadlock-timeout", |o, v, _| put(&mut o.deadlock_timeout, v.seconds())),
    ("inactivity-timeout", |o, v, _| put(&mut o.inactivity_timeout, v.seconds())),
    ("request-timeout", |o, v, _| put(&mut o.request_timeout, v.seconds())),
    ("request-timeout-scaling", |o, v, _| put(&mut o.request_timeout_scaling, v.flag())),
    ("interrupt-timeout", |o, v, _| put(&mut o.interrupt_timeout, v.seconds())),
    ("graceful-timeout", |o, v, _| put(&mut o.graceful_timeout, v.seconds())),
    ("eviction-timeout", |o, v, _| put(&mut o.eviction_timeout, v.seconds())),
    ("restart-interval", |o, v, _| put(&mut o.restart_interval, v.seconds())),
    ("connect-timeout", |o, v, _| put(&mut o.connect_timeout, v.seconds())),
    ("socket-timeout", |o, v, _| put(&mut o.socket_timeout, v.seconds())),
    ("queue-size", |o, v, _| some(&mut o.queue_size, v.number(0..=1_000_000))),
    ("queue-timeout", |o, v, _| put(&mut o.queue_timeout, v.seconds())),
    ("worker-limit", |o, v, _| some(&mut o.worker_limit, v.number(0..=1_000_000))),
    ("socket-user", |o, v, pool| some(&mut o.socket_user, user(&v, pool))),
    ("listen-backlog", |o, v, _| put(&mut o.listen_backlog, v.number(0..=i32::MAX as u32))),
    ("send-buffer-size", |o, v, _| put(&mut o.send_buffer_size, v.size(512))),
    ("receive-buffer-size", |o, v, _| put(&mut o.receive_buffer_size, v.size(512))),
    ("header-buffer-size", |o, v, _| {
        put(&mut o.header_buffer_size, v.size(8192).map(|size| if size == 0 { 32768 } else { size }))
    }),
    // Apache's core filter bounds what it holds back by itself; the value is checked and otherwise without effect.
    ("response-buffer-size", |_, v, _| v.size(65536).map(drop)),
    ("response-socket-timeout", |o, v, _| put(&mut o.response_socket_timeout, v.seconds())),
    ("response-flush-delay", |o, v, _| put(&mut o.response_flush_delay, v.number(0..=60_000))),
    ("script-user", |o, v, pool| some(&mut o.script_user, user(&v, pool))),
    ("script-group", |o, v, pool| some(&mut o.script_group, group(v.option, &v.text, pool))),
    ("cpu-time-limit", |o, v, _| put(&mut o.cpu_time_limit, v.number(0..=u64::from(u32::MAX)))),
    ("cpu-priority", |o, v, _| some(&mut o.cpu_priority, v.number(-20..=20))),
    ("memory-limit", |o, v, _| put(&mut o.memory_limit, v.number(0..=i64::MAX as u64))),
    ("virtual-memory-limit", |o, v, _| put(&mut o.virtual_memory_limit, v.number(0..=i64::MAX as u64))),
    ("rss-limit", |o, v, _| put(&mut o.rss_limit, v.bytes())),
    ("server-metrics", |o, v, _| put(&mut o.server_metrics, v.flag())),
    ("script-reload", |o, v, _| put(&mut o.script_reload, script_reload(&v))),
];

fn user(value: &Value<'_>, pool: Pool<'_>) -> Result<User, Invalid> {
    identity::user(pool, &value.text)
        .ok_or_else(|| Invalid::value(value.option, &value.text, "a user of this machine, by name or as #uid"))
}

fn script_reload(value: &Value<'_>) -> Result<ScriptReload, Invalid> {
    match value.text.as_slice() {
        b"wait" => Ok(ScriptReload::Wait),
        b"rolling" => Ok(ScriptReload::Rolling),
        _ => Err(Invalid::value(value.option, &value.text, "wait or rolling")),
    }
}

fn unprivileged(value: Value<'_>, pool: Pool<'_>) -> Result<User, Invalid> {
    let user = user(&value, pool)?;
    if user.uid == 0 {
        return Err(Invalid::value(value.option, &value.text, "a user other than root"));
    }
    Ok(user)
}

fn group(option: &str, text: &[u8], pool: Pool<'_>) -> Result<u32, Invalid> {
    identity::group(pool, text)
        .ok_or_else(|| Invalid::value(option, text, "a group of this machine, by name or as #gid"))
}

fn groups(value: &Value<'_>, pool: Pool<'_>) -> Result<Vec<u32>, Invalid> {
    let names = value.text.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    names.map(|name| group(value.option, name, pool)).collect()
}

fn chroot(value: Value<'_>) -> Result<Vec<u8>, Invalid> {
    let mut path = value.absolute()?;
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    if rustix::process::geteuid().is_root() {
        return Ok(path);
    }
    Err(Invalid::Conflict("chroot needs an Apache that is started by root".to_owned()))
}

fn variable(value: &Value<'_>) -> Result<(Vec<u8>, Vec<u8>), Invalid> {
    // The value may be a secret: messages do without it.
    match environment::assignment(&value.text) {
        Ok((name, value)) => Ok((name.to_vec(), value.to_vec())),
        Err(error) => Err(Invalid::Conflict(format!("env: {error}"))),
    }
}

/// Names of variables, or `*`.
fn names(value: &Value<'_>) -> Result<Vec<Vec<u8>>, Invalid> {
    let names: Vec<Vec<u8>> = value.text.split(|b| *b == b',').map(|name| name.trim_ascii().to_vec()).collect();
    let is_name = |name: &Vec<u8>| !name.is_empty() && !name.contains(&b'=') && (!name.contains(&b'*') || name == b"*");
    match names.iter().all(is_name) {
        true => Ok(names),
        false => Err(Invalid::value(value.option, &value.text, "names of variables with commas between, or *")),
    }
}

/// Sets `WSGIDaemonProcess name [option=value …]`.
pub fn set(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let mut rest = line.arguments;
    let name = word(&mut rest)
        .filter(|name| !name.is_empty() && !name.contains(&b'='))
        .ok_or(Invalid::Arguments("the name of a process group, then options"))?;
    if configuration.group(&name).is_some() {
        return Err(Invalid::Conflict(format!(
            "process group `{}` is defined already; names are unique in the whole server",
            show(&name)
        )));
    }
    let key = wsgi_wire::table::group_key(&name);
    if let Some(other) = configuration.groups.iter().find(|g| wsgi_wire::table::group_key(&g.name) == key) {
        return Err(Invalid::Conflict(format!(
            "the name `{}` cannot be told from `{}` (same hash); rename one of them",
            show(&name),
            show(&other.name)
        )));
    }
    let options = parse(&mut rest, line.temporary)?;
    configuration.groups.push(Group { name, origin: line.origin.clone(), options });
    Ok(())
}

fn parse(rest: &mut &[u8], pool: Pool<'_>) -> Result<GroupOptions, Invalid> {
    let known: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
    let mut options = GroupOptions::default();
    while let Some(value) = option(rest, &known)? {
        if let Some((_, set)) = OPTIONS.iter().find(|(name, _)| *name == value.option) {
            set(&mut options, value, pool)?;
        }
    }
    if options.script_user.is_some() && options.script_group.is_some() {
        return Err(Invalid::Conflict("script-user and script-group exclude each other; give one of them".to_owned()));
    }
    Ok(options)
}
