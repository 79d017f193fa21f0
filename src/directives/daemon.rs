//! `WSGIDaemonProcess`: the options of a process group.
#![forbid(unsafe_code)]

use wsgi_wire::environment;
use wsgi_wire::interface::{Interface, Lifespan};

use super::configuration::Configuration;
use super::directive::{Host, Line};
use super::group::{Group, GroupOptions, ScriptReload};
use crate::httpd::user::User;
use crate::policy::page_origin::AllowedOrigins;
use crate::policy::words::{ArgumentError, Value, option, show, word};

/// Parses one option into the field it stands for.
type Setter = fn(&mut GroupOptions, Value<'_>, &dyn Host) -> Result<(), ArgumentError>;

fn put<T>(place: &mut T, value: Result<T, ArgumentError>) -> Result<(), ArgumentError> {
    *place = value?;
    Ok(())
}

fn some<T>(place: &mut Option<T>, value: Result<T, ArgumentError>) -> Result<(), ArgumentError> {
    put(place, value.map(Some))
}

/// Every option, by name.
const OPTIONS: &[(&str, Setter)] = &[
    ("processes", |o, v, _| some(&mut o.processes, v.number(1..=512))),
    ("threads", |o, v, _| put(&mut o.threads, v.number(0..=65_533))),
    ("interface", |o, v, _| put(&mut o.interface, interface(&v))),
    ("loop", |o, v, _| put(&mut o.event_loop, event_loop(&v))),
    ("lifespan", |o, v, _| put(&mut o.lifespan, lifespan(&v))),
    ("limit-concurrency", |o, v, _| put(&mut o.limit_concurrency, v.number(1..=1_000_000))),
    ("disconnect-grace", |o, v, _| some(&mut o.disconnect_grace, v.seconds())),
    ("limit-websockets", |o, v, _| some(&mut o.limit_websockets, v.number(1..=1_000_000))),
    ("ws-max-size", |o, v, _| put(&mut o.ws_max_size, message_size(&v))),
    ("ws-max-queue", |o, v, _| put(&mut o.ws_max_queue, v.number(1..=65_536))),
    ("ws-ping-interval", |o, v, _| put(&mut o.ws_ping_interval, v.seconds())),
    ("ws-ping-timeout", |o, v, _| put(&mut o.ws_ping_timeout, v.seconds())),
    ("ws-per-message-deflate", |o, v, _| put(&mut o.ws_per_message_deflate, v.flag())),
    ("ws-origins", |o, v, _| put(&mut o.ws_origins, origins(&v))),
    ("ws-graceful-timeout", |o, v, _| some(&mut o.ws_graceful_timeout, v.seconds())),
    ("user", |o, v, host| some(&mut o.user, unprivileged(v, host))),
    ("group", |o, v, host| some(&mut o.group, group(v.option, &v.text, host))),
    ("supplementary-groups", |o, v, host| some(&mut o.supplementary_groups, groups(&v, host))),
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
    ("socket-user", |o, v, host| some(&mut o.socket_user, user(&v, host))),
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
    ("script-user", |o, v, host| some(&mut o.script_user, user(&v, host))),
    ("script-group", |o, v, host| some(&mut o.script_group, group(v.option, &v.text, host))),
    ("cpu-time-limit", |o, v, _| put(&mut o.cpu_time_limit, v.number(0..=u64::from(u32::MAX)))),
    ("cpu-priority", |o, v, _| some(&mut o.cpu_priority, v.number(-20..=20))),
    ("memory-limit", |o, v, _| put(&mut o.memory_limit, v.number(0..=i64::MAX as u64))),
    ("virtual-memory-limit", |o, v, _| put(&mut o.virtual_memory_limit, v.number(0..=i64::MAX as u64))),
    ("rss-limit", |o, v, _| put(&mut o.rss_limit, v.bytes())),
    ("server-metrics", |o, v, _| put(&mut o.server_metrics, v.flag())),
    ("script-reload", |o, v, _| put(&mut o.script_reload, script_reload(&v))),
];

fn user(value: &Value<'_>, host: &dyn Host) -> Result<User, ArgumentError> {
    host.user(&value.text)
        .ok_or_else(|| ArgumentError::value(value.option, &value.text, "a user of this machine, by name or as #uid"))
}

fn interface(value: &Value<'_>) -> Result<Interface, ArgumentError> {
    let all = [Interface::Wsgi, Interface::Asgi, Interface::Auto];
    let found = all.into_iter().find(|interface| interface.name().as_bytes() == value.text);
    found.ok_or_else(|| ArgumentError::value(value.option, &value.text, "wsgi, asgi or auto"))
}

fn event_loop(value: &Value<'_>) -> Result<Vec<u8>, ArgumentError> {
    let is_function = |text: &[u8]| {
        let mut parts = text.split(|byte| *byte == b':');
        matches!((parts.next(), parts.next(), parts.next()), (Some([_, ..]), Some([_, ..]), None))
    };
    match &value.text[..] {
        text @ (b"auto" | b"asyncio" | b"uvloop") => Ok(text.to_vec()),
        text if is_function(text) => Ok(text.to_vec()),
        text => Err(ArgumentError::value(
            value.option,
            text,
            "auto, asyncio, uvloop, or a function that makes one, as module:function",
        )),
    }
}

/// The largest `ws-max-size`, bytes: a process has to hold a whole message.
const LONGEST_MESSAGE: u64 = 1 << 30;

fn message_size(value: &Value<'_>) -> Result<u64, ArgumentError> {
    let wanted = "a size from 1 byte to 1G, with K, M or G behind the number";
    let found = value.bytes().ok().filter(|size| (1..=LONGEST_MESSAGE).contains(size));
    found.ok_or_else(|| ArgumentError::value(value.option, &value.text, wanted))
}

fn origins(value: &Value<'_>) -> Result<AllowedOrigins, ArgumentError> {
    let wanted =
        "any, same, or origins of pages with commas between, such as https://example.com,http://localhost:8000";
    AllowedOrigins::parse(&value.text).ok_or_else(|| ArgumentError::value(value.option, &value.text, wanted))
}

fn lifespan(value: &Value<'_>) -> Result<Lifespan, ArgumentError> {
    match value.text.as_slice() {
        b"auto" => Ok(Lifespan::Auto),
        b"on" => Ok(Lifespan::On),
        b"off" => Ok(Lifespan::Off),
        _ => Err(ArgumentError::value(value.option, &value.text, "auto, on or off")),
    }
}

fn script_reload(value: &Value<'_>) -> Result<ScriptReload, ArgumentError> {
    match value.text.as_slice() {
        b"wait" => Ok(ScriptReload::Wait),
        b"rolling" => Ok(ScriptReload::Rolling),
        _ => Err(ArgumentError::value(value.option, &value.text, "wait or rolling")),
    }
}

fn unprivileged(value: Value<'_>, host: &dyn Host) -> Result<User, ArgumentError> {
    let user = user(&value, host)?;
    if user.uid == 0 {
        return Err(ArgumentError::value(value.option, &value.text, "a user other than root"));
    }
    Ok(user)
}

fn group(option: &str, text: &[u8], host: &dyn Host) -> Result<u32, ArgumentError> {
    host.group(text).ok_or_else(|| ArgumentError::value(option, text, "a group of this machine, by name or as #gid"))
}

fn groups(value: &Value<'_>, host: &dyn Host) -> Result<Vec<u32>, ArgumentError> {
    let names = value.text.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    names.map(|name| group(value.option, name, host)).collect()
}

fn chroot(value: Value<'_>) -> Result<Vec<u8>, ArgumentError> {
    let mut path = value.absolute()?;
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    if wsgi_unix::user::is_root() {
        return Ok(path);
    }
    Err(ArgumentError::Conflict("chroot needs an Apache that is started by root".to_owned()))
}

fn variable(value: &Value<'_>) -> Result<(Vec<u8>, Vec<u8>), ArgumentError> {
    // The value may be a secret: messages do without it.
    match environment::assignment(&value.text) {
        Ok((name, value)) => Ok((name.to_vec(), value.to_vec())),
        Err(error) => Err(ArgumentError::Conflict(format!("env: {error}"))),
    }
}

/// Parses a list of names of variables, or `*`.
fn names(value: &Value<'_>) -> Result<Vec<Vec<u8>>, ArgumentError> {
    let names: Vec<Vec<u8>> = value.text.split(|b| *b == b',').map(|name| name.trim_ascii().to_vec()).collect();
    let is_name = |name: &Vec<u8>| !name.is_empty() && !name.contains(&b'=') && (!name.contains(&b'*') || name == b"*");
    match names.iter().all(is_name) {
        true => Ok(names),
        false => Err(ArgumentError::value(value.option, &value.text, "names of variables with commas between, or *")),
    }
}

/// Sets `WSGIDaemonProcess name [option=value …]`.
pub fn set(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut rest = line.arguments;
    let name = word(&mut rest)
        .filter(|name| !name.is_empty() && !name.contains(&b'='))
        .ok_or(ArgumentError::Arguments("the name of a process group, then options"))?;
    if configuration.group(&name).is_some() {
        return Err(ArgumentError::Conflict(format!(
            "process group `{}` is defined already; names are unique in the whole server",
            show(&name)
        )));
    }
    let key = wsgi_wire::table::group_key(&name);
    if let Some(other) = configuration.groups.iter().find(|g| wsgi_wire::table::group_key(&g.name) == key) {
        return Err(ArgumentError::Conflict(format!(
            "the name `{}` cannot be told from `{}` (same hash); rename one of them",
            show(&name),
            show(&other.name)
        )));
    }
    let options = parse(&mut rest, line.host)?;
    configuration.groups.push(Group { name, origin: line.origin.clone(), options });
    Ok(())
}

fn parse(rest: &mut &[u8], host: &dyn Host) -> Result<GroupOptions, ArgumentError> {
    let known: Vec<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
    let mut options = GroupOptions::default();
    while let Some(value) = option(rest, &known)? {
        if let Some((_, set)) = OPTIONS.iter().find(|(name, _)| *name == value.option) {
            set(&mut options, value, host)?;
        }
    }
    if options.script_user.is_some() && options.script_group.is_some() {
        return Err(ArgumentError::Conflict(
            "script-user and script-group exclude each other; give one of them".to_owned(),
        ));
    }
    if options.interface == Interface::Asgi && options.threads == 0 {
        let text =
            "threads=0 makes a process that serves no requests, and interface=asgi one that does; take one of them out";
        return Err(ArgumentError::Conflict(text.to_owned()));
    }
    Ok(options)
}
