//! The command `status`: the process groups of a running server, as a table for a terminal or as JSON.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde_json::{Map, Value, json};
use wsgi_unix::process::resident;
use wsgi_wire::codec::Bytes;
use wsgi_wire::interface::Interface;
use wsgi_wire::status::{GroupStatus, ProcessStatus, Status};
use wsgi_wire::table::State;
use wsgi_wire::table::histogram::Distribution;

use crate::administration::{Administration, AdministrationError};
use crate::options::{Format, StatusOptions};
use crate::plan::Caller;

/// The control sequence that clears the terminal and goes to its first line.
const HOME: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Prints the status, once or until the server or the terminal is gone. Returns the exit code: 1 if a group cannot
/// answer requests.
///
/// # Errors
/// [`AdministrationError`] when there is nothing to print.
pub fn status(options: &StatusOptions, caller: &Caller) -> Result<i32, AdministrationError> {
    let server = Administration::of(&options.running, caller)?;
    let is_terminal = io::stdout().is_terminal() && caller.variable("TERM") != Some("dumb");
    let colours = Colours(is_terminal && caller.variable("NO_COLOR").is_none());
    loop {
        let now = server.status()?;
        let mut text = match options.format {
            Format::Json => serde_json::to_string(&document(&now))? + "\n",
            Format::Text => table(&now, colours),
        };
        if options.watch.is_some() && is_terminal && options.format == Format::Text {
            text.insert_str(0, HOME);
        }
        let told = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
        match options.watch.filter(|_| told.is_ok()) {
            Some(seconds) => std::thread::sleep(Duration::from_secs_f64(seconds)),
            None => return Ok(i32::from(now.groups.iter().any(|group| condition(group) != "ready"))),
        }
    }
}

/// Whether the terminal has colours.
#[derive(Clone, Copy, Debug)]
struct Colours(bool);

impl Colours {
    /// Colours a word by its meaning.
    fn paint(self, word: &str, width: usize) -> String {
        let colour = match word {
            "ready" => 32,
            "starting" | "reloading" | "draining" => 33,
            _ => 31,
        };
        if self.0 { format!("\x1b[{colour}m{word:width$}\x1b[0m") } else { format!("{word:width$}") }
    }
}

/// The condition of a group, in the word of the status page.
fn condition(group: &GroupStatus) -> &'static str {
    let starting = group.count(State::Starting) + group.count(State::Reloading) > 0;
    match (group.count(State::Ready) > 0 || group.threads == 0 && starting, starting) {
        (true, _) => "ready",
        (false, true) => "starting",
        (false, false) => "down",
    }
}

/// Makes the table.
fn table(status: &Status, colours: Colours) -> String {
    let mut text = String::new();
    let up = duration(status.time.saturating_sub(status.started));
    let _ = writeln!(text, "up {up}, configuration {}", status.generation);
    if status.groups.is_empty() {
        text += "no process group\n";
    }
    for group in &status.groups {
        let name = shown(&group.name);
        let condition = colours.paint(condition(group), 0);
        let processes = format!("{} of {} processes", group.count(State::Ready), group.wanted);
        let _ = writeln!(text, "\n{name}: {condition}, {processes}{}", load(group));
        if group.processes.is_empty() {
            continue;
        }
        let is_asgi = group.interface == Interface::Asgi;
        let sockets = if is_asgi { format!("  {:>10}  {:>4}", "WEBSOCKETS", "LAG") } else { String::new() };
        let _ = writeln!(
            text,
            "  {:>8}  {:9}  {:>8}  {:>7}  {:>10}  {:>8}{sockets}",
            "PID", "STATE", "UP", "BUSY", "REQUESTS", "MEMORY"
        );
        for process in &group.processes {
            let up = duration(status.time.saturating_sub(process.started));
            let busy = format!("{}/{}", process.busy, process.threads);
            let memory = resident(process.pid).map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
            let state = colours.paint(process.state.name(), 9);
            let sockets = if is_asgi { event_loop(process) } else { String::new() };
            let _ = writeln!(
                text,
                "  {:>8}  {state}  {up:>8}  {busy:>7}  {:>10}  {memory:>8}{sockets}",
                process.pid, process.requests
            );
        }
    }
    text
}

/// Describes the load of a group; empty for one without threads.
fn load(group: &GroupStatus) -> String {
    if group.threads == 0 {
        return String::new();
    }
    let (busy, most) = (group.of_all(|process| process.busy.into()), group.of_ready(|process| process.threads));
    let mut text = match group.interface {
        Interface::Asgi => format!(", ASGI, {} executed", counted(busy, "request")),
        Interface::Wsgi | Interface::Auto => format!(", {busy} of {most} threads busy"),
    };
    if group.waiting > 0 {
        let (noun, verb) = if group.waiting == 1 { ("request", "waits") } else { ("requests", "wait") };
        let _ = write!(text, ", {} {noun} {verb}", group.waiting);
    }
    let answered: u64 = group.classes.iter().sum();
    let failed = group.classes.last().copied().unwrap_or_default();
    let refused: u64 = group.refused.iter().map(|(_, count)| count).sum();
    let (answers, requests) = (counted(answered, "answer"), counted(refused, "request"));
    let _ = write!(text, "\n  {answers}, {failed} of them 5xx, {requests} refused");
    if let Some(slow) = group.latency.distribution().quantile(0.95) {
        let _ = write!(text, ", 95 % within {} ms", (slow.as_secs_f64() * 1000.0).ceil());
    }
    if group.interface == Interface::Asgi {
        text += &websockets(group);
    }
    text
}

/// A number with its noun.
fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Describes the WebSockets and the event loops of a group.
fn websockets(group: &GroupStatus) -> String {
    let count = |counts: &[(Bytes, u64)]| counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    let mut text = format!(
        "\n  {} WebSockets open, {} opened, {} refused",
        group.of_all(|process| process.websockets.into()),
        group.websockets.opened,
        count(&group.websockets.refused)
    );
    if let Some(late) = group.lag.distribution().quantile(0.99) {
        let _ = write!(text, ", event loops 99 % within {:.1} ms", late.as_secs_f64() * 1000.0);
    }
    text
}

/// Describes the event loop of a process: its WebSockets, and how late it has come but for one time in a hundred.
fn event_loop(process: &ProcessStatus) -> String {
    let late = process.lag.distribution().quantile(0.99).map_or("-".to_owned(), short);
    format!("  {:>10}  {late:>4}", process.websockets)
}

/// Formats a short time in four characters.
fn short(time: Duration) -> String {
    let (milliseconds, seconds) = (time.as_millis(), time.as_secs_f64());
    match milliseconds {
        0 => "<1ms".to_owned(),
        1..=99 => format!("{milliseconds}ms"),
        100..=9_949 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

/// Makes a name without a character that a terminal would obey.
fn shown(name: &Bytes) -> String {
    String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Formats a time in its two largest units.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if days > 0 => format!("{days}d {}h", hours % 24),
        () if hours > 0 => format!("{hours}h {}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m {}s", seconds % 60),
        () => format!("{seconds}s"),
    }
}

/// Makes the JSON, with the names of the status page.
fn document(status: &Status) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": status.time,
        "started": status.started,
        "uptime_seconds": status.time.saturating_sub(status.started),
        "generation": status.generation,
        "supervisor_up": true,
        "groups": status.groups.iter().map(|group| group_document(group, status.time)).collect::<Vec<_>>(),
    })
}

fn group_document(group: &GroupStatus, now: u64) -> Value {
    let counts = |counts: &[(Bytes, u64)]| -> Map<String, Value> {
        counts.iter().map(|(name, count)| (String::from_utf8_lossy(name).into_owned(), (*count).into())).collect()
    };
    let classes: Map<_, _> =
        (1..).zip(&group.classes).map(|(class, count)| (format!("{class}xx"), (*count).into())).collect();
    let websockets = json!({
        "open": group.of_all(|process| process.websockets.into()),
        "opened": group.websockets.opened,
        "refused": counts(&group.websockets.refused),
        "closed": counts(&group.websockets.closed),
        "messages_in": group.of_all(|process| process.messages_in),
        "messages_out": group.of_all(|process| process.messages_out),
    });
    let (is_asgi, lag) = (group.interface == Interface::Asgi, group.lag.distribution());
    json!({
        "name": String::from_utf8_lossy(&group.name),
        "state": condition(group),
        "interface": group.interface.name(),
        "processes_configured": group.wanted,
        "processes_ready": group.count(State::Ready),
        "threads": group.of_ready(|process| process.threads),
        "threads_busy": group.of_all(|process| process.busy.into()),
        "requests_in_flight": group.of_ready(|process| process.in_flight),
        "requests_waiting": group.waiting,
        "requests": classes,
        "requests_refused": counts(&group.refused),
        "process_exits": counts(&group.ended),
        "request_duration": distribution(&group.latency.distribution()),
        "background_tasks": is_asgi.then(|| group.of_all(|process| process.background.into())),
        "websockets": is_asgi.then_some(websockets),
        "event_loop_lag": is_asgi.then(|| distribution(&lag)),
        "processes": group.processes.iter().map(|process| process_document(process, is_asgi, now)).collect::<Vec<_>>(),
    })
}

fn distribution(durations: &Distribution) -> Value {
    let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
    json!({
        "count": durations.count(),
        "sum_seconds": durations.sum.as_secs_f64(),
        "mean_seconds": seconds(durations.mean()),
        "p50_seconds": seconds(durations.quantile(0.5)),
        "p95_seconds": seconds(durations.quantile(0.95)),
        "p99_seconds": seconds(durations.quantile(0.99)),
    })
}

/// Makes the member of a process.
fn process_document(process: &ProcessStatus, is_asgi: bool, now: u64) -> Value {
    let event_loop = json!({
        "websockets_open": process.websockets,
        "background_tasks": process.background,
        "messages_in": process.messages_in,
        "messages_out": process.messages_out,
        "lag": distribution(&process.lag.distribution()),
    });
    json!({
        "pid": process.pid,
        "state": process.state.name(),
        "started": process.started,
        "uptime_seconds": now.saturating_sub(process.started),
        "generation": process.generation,
        "threads": process.threads,
        "threads_busy": process.busy,
        "requests_in_flight": process.in_flight,
        "requests": process.requests,
        "resident_memory_bytes": resident(process.pid),
        "event_loop": is_asgi.then_some(event_loop),
    })
}

#[cfg(test)]
mod tests {
    use wsgi_wire::status::Durations;

    use super::*;

    #[test]
    fn times_have_two_units() {
        let times = [5, 65, 3_700, 90_000].map(duration);
        assert_eq!(times, ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn short_times_have_four_characters() {
        let times = [0, 3, 99, 100, 9_949, 9_950, 524_288].map(|time| short(Duration::from_millis(time)));
        assert_eq!(times, ["<1ms", "3ms", "99ms", "0.1s", "9.9s", "10s", "524s"]);
    }

    #[test]
    fn a_line_of_a_process_with_an_event_loop_fits_on_a_terminal() {
        let process = ProcessStatus {
            pid: 4_194_304,
            state: State::Ready,
            started: 0,
            generation: 1,
            threads: 1000,
            busy: 99,
            in_flight: 1000,
            requests: 1_234_567_890,
            websockets: 10_000,
            background: 0,
            messages_in: 0,
            messages_out: 0,
            lag: Durations { nanoseconds: 0, buckets: vec![0, 0, 0, 7] },
        };
        let group = GroupStatus {
            name: b"shop".as_slice().into(),
            wanted: 1,
            threads: 1000,
            interface: Interface::Asgi,
            processes: vec![process],
            ..GroupStatus::default()
        };
        let text = table(&Status { time: 90_000, started: 0, generation: 1, groups: vec![group] }, Colours(false));
        assert!(text.contains("WEBSOCKETS   LAG\n") && text.ends_with("  <1ms\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(Colours(false).paint("ready", 9), "ready    ");
        assert_eq!(Colours(true).paint("down", 0), "\x1b[31mdown\x1b[0m");
    }
}
