//! Process-wide directives: how Python starts, what its interpreters may do, and the plumbing of daemon mode.
#![forbid(unsafe_code)]

use super::configuration::{Configuration, InterpreterSection, InterpreterSettings};
use super::directive::{Line, Nested};
use crate::policy::words::{ArgumentError, Value, all, flag, one, paths, show};

const ONE: &str = "one argument";

/// The longest path of a unix socket (`sun_path`, its NUL included).
const SOCKET_PATH: usize = 108;

fn value(line: &Line<'_>) -> Result<Value<'static>, ArgumentError> {
    Ok(Value { option: "the argument", text: one(line.arguments, ONE)? })
}

/// The setter of `WSGISocketPrefix`.
pub fn socket_prefix(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = value(line)?.text()?;
    let legal = format!(
        "a path in UTF-8 that leaves {} of {SOCKET_PATH} bytes for the sockets' own names",
        wsgi_wire::table::SOCKET_SUFFIX + 1
    );
    let prefix = line
        .host
        .server_root_path(&given)
        .filter(|p| p.len() + wsgi_wire::table::SOCKET_SUFFIX < SOCKET_PATH && std::str::from_utf8(p).is_ok())
        .ok_or_else(|| ArgumentError::value("the prefix", &given, legal))?;
    configuration.socket_prefix = Some(prefix);
    Ok(())
}

/// Checks `WSGIAcceptMutex`, which has no effect: every process has a socket of its own.
pub fn accept_mutex(_configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = value(line)?.text;
    let known = ["default", "flock", "fcntl", "sysvsem", "posixsem", "pthread"];
    if known.iter().any(|k| given.eq_ignore_ascii_case(k.as_bytes())) {
        return Ok(());
    }
    Err(ArgumentError::value("the mechanism", &given, format_args!("one of {}", known.join(", "))))
}

/// For what needs daemon processes, or files as Unix has them.
pub fn not_on_windows(_to: &mut Configuration, _line: &Line<'_>) -> Result<(), ArgumentError> {
    Err(ArgumentError::Conflict("Apache on Windows has embedded mode alone; leave this directive out".to_owned()))
}

/// Checks an `On|Off` directive that has no effect here.
pub fn without_effect(_configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    flag(line.arguments).map(drop)
}

/// The setter of `WSGIRestrictEmbedded`.
pub fn restrict_embedded(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.restrict_embedded = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGILinger`.
pub fn linger(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.lingers = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGIWebSocketSuspend`.
pub fn websocket_suspend(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.suspends_websockets = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGIServerMetrics`.
pub fn server_metrics(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.server_metrics = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGIPythonHome`.
pub fn python_home(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.python.home = Some(value(line)?.text()?);
    Ok(())
}

/// The setter of `WSGIPythonEggs`.
pub fn python_eggs(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.python.eggs = Some(value(line)?.text()?);
    Ok(())
}

/// The setter of `WSGIPythonOptimize`.
pub fn python_optimize(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.python.optimize = value(line)?.number(0..=2)?;
    Ok(())
}

/// Adds a `WSGIPythonWarnings`.
pub fn python_warnings(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.python.warnings.push(value(line)?.text()?);
    Ok(())
}

/// The setter of `WSGIPythonHashSeed`.
pub fn python_hash_seed(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = value(line)?;
    if given.text != b"random" && given.number(0..=u32::MAX).is_err() {
        return Err(ArgumentError::value("the seed", &given.text, "random, or a whole number from 0 to 4294967295"));
    }
    configuration.python.hash_seed = Some(given.text);
    Ok(())
}

/// The setter of `WSGIDontWriteBytecode`.
pub fn dont_write_bytecode(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.python.dont_write_bytecode = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGIDestroyInterpreter`.
pub fn destroy_interpreter(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.destroy_interpreter = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGISingleInterpreter`.
pub fn single_interpreter(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.single_interpreter = flag(line.arguments)?;
    Ok(())
}

/// The setter of `WSGICaseSensitivity`.
pub fn case_sensitivity(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    configuration.case_sensitive = flag(line.arguments)?;
    Ok(())
}

/// One setting of interpreters, at the top level or in a section.
type InterpreterSetter = fn(&mut InterpreterSettings, &[u8]) -> Result<(), ArgumentError>;

/// What may stand inside `<WSGIInterpreterOptions>`.
const INTERPRETER_SETTINGS: &[(&str, InterpreterSetter)] = &[
    ("WSGIPythonPath", |s, line| {
        s.python_path = paths(&one(line, "one argument, directories with : between")?);
        Ok(())
    }),
    ("WSGIRestrictStdin", |s, line| switch(&mut s.restrict_stdin, line)),
    ("WSGIRestrictStdout", |s, line| switch(&mut s.restrict_stdout, line)),
    ("WSGIRestrictSignal", |s, line| switch(&mut s.restrict_signal, line)),
    ("WSGISwitchInterval", |s, line| {
        let given = Value { option: "the interval", text: one(line, "one argument, a number of seconds")? };
        s.switch_interval = Some(given.positive()?);
        Ok(())
    }),
    ("WSGIPerInterpreterGIL", |s, line| switch(&mut s.own_gil, line)),
    ("WSGIFreeThreading", |s, line| switch(&mut s.free_threading, line)),
];

fn switch(place: &mut Option<bool>, line: &[u8]) -> Result<(), ArgumentError> {
    *place = Some(flag(line)?);
    Ok(())
}

fn interpreter_setting(name: &[u8]) -> Option<InterpreterSetter> {
    INTERPRETER_SETTINGS.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(_, set)| *set)
}

fn set_interpreter(settings: &mut InterpreterSettings, name: &[u8], line: &[u8]) -> Result<(), ArgumentError> {
    match interpreter_setting(name) {
        Some(set) => set(settings, line),
        None => {
            let legal: Vec<&str> = INTERPRETER_SETTINGS.iter().map(|(n, _)| *n).collect();
            Err(ArgumentError::value("a directive inside", name, format_args!("one of {}", legal.join(", "))))
        }
    }
}

/// Declares the top-level forms of interpreter settings.
macro_rules! top_level {
    ($($(#[$doc:meta])* $function:ident = $name:literal;)*) => {
        $($(#[$doc])*
        pub fn $function(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
            set_interpreter(&mut configuration.interpreters, $name.as_bytes(), line.arguments)
        })*
    };
}

top_level! {
    /// The setter of `WSGIPythonPath`.
    python_path = "WSGIPythonPath";
    /// The setter of `WSGIRestrictStdin`.
    restrict_stdin = "WSGIRestrictStdin";
    /// The setter of `WSGIRestrictStdout`.
    restrict_stdout = "WSGIRestrictStdout";
    /// The setter of `WSGIRestrictSignal`.
    restrict_signal = "WSGIRestrictSignal";
    /// The setter of `WSGISwitchInterval`.
    switch_interval = "WSGISwitchInterval";
    /// The setter of `WSGIPerInterpreterGIL`.
    per_interpreter_gil = "WSGIPerInterpreterGIL";
    /// The setter of `WSGIFreeThreading`.
    free_threading = "WSGIFreeThreading";
}

/// Adds a `<WSGIInterpreterOptions [process-group=X] [application-group=Y]>` with what stands inside.
pub fn interpreter_options(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let selectors = line.arguments.strip_suffix(b">").ok_or(ArgumentError::Arguments("selectors and a closing >"))?;
    let mut section = InterpreterSection::default();
    for word in all(selectors) {
        select(&mut section, &word)?;
    }
    for Nested { name, arguments } in &line.nested {
        set_interpreter(&mut section.settings, name, arguments).map_err(|error| {
            // The section reports for what stands inside: name the directive unless it is the one refused.
            if interpreter_setting(name).is_some() {
                ArgumentError::Conflict(format!("{}: {error}", show(name)))
            } else {
                error
            }
        })?;
    }
    configuration.sections.push(section);
    Ok(())
}

fn select(section: &mut InterpreterSection, word: &[u8]) -> Result<(), ArgumentError> {
    let unknown = || ArgumentError::NoOption { word: show(word), known: "process-group, application-group".to_owned() };
    let at = word.iter().position(|b| *b == b'=').ok_or_else(unknown)?;
    let (selector, name) = (word[..at].to_ascii_lowercase(), &word[at + 1..]);
    let place = match selector.as_slice() {
        b"process-group" => &mut section.process_group,
        b"application-group" => &mut section.application_group,
        _ => return Err(unknown()),
    };
    if place.is_some() {
        return Err(ArgumentError::Conflict(format!("the selector {} is given twice", show(&selector))));
    }
    *place = Some(if name == b"%{GLOBAL}" { Vec::new() } else { name.to_vec() });
    Ok(())
}
