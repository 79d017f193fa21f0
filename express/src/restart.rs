//! The command `restart`: asks the supervisor of a running server to replace the processes of its groups, and reports
//! what becomes of each of them.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Duration;

use wsgi_wire::codec::Wire;
use wsgi_wire::control::{Outcome, Restart, Restarted};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::status::Status;
use wsgi_wire::table::State;

use crate::administration::{Administration, AdministrationError};
use crate::options::RestartOptions;
use crate::plan::Caller;

/// How often the server is asked for the progress of the restart.
const INTERVAL: Duration = Duration::from_millis(100);

/// Restarts, waits, and reports. Returns the exit code.
///
/// # Errors
/// [`AdministrationError`] when nothing was restarted.
pub fn restart(options: &RestartOptions, caller: &Caller) -> Result<i32, AdministrationError> {
    let server = Administration::of(&options.running, caller)?;
    let group = options.group.as_deref().map(Into::into);
    let mut message = Vec::new();
    frame::put(&mut message, Kind::Restart, |out| Restart { group }.put(out))?;
    // Before anything changes. A server that does not tell is restarted all the same.
    let mut progress = server.status().ok().map(|before| Progress::of(&before));
    let mut stream = server.send(&message)?;
    stream.set_read_timeout(Some(INTERVAL)).map_err(|reason| server.unreachable(reason))?;
    let mut code = 0;
    let mut received = Vec::new();
    loop {
        if let Some((progress, now)) = progress.as_mut().zip(server.status().ok()) {
            progress.tell(&now);
        }
        while let Some(frame) = frame::first(&received)? {
            let Restarted { group, outcome } = Restarted::from_bytes(frame.payload)?;
            say(&format!("{}: {}", String::from_utf8_lossy(&group), said(outcome)));
            if outcome != Outcome::Replaced {
                code = 1;
            }
            let size = frame.size();
            received.drain(..size);
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(code),
            Ok(n) => received.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(error) => return Err(server.unreachable(error)),
        }
    }
}

/// Prints a line. Whoever has closed the terminal does not want to see it; the restart goes on.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Replaced => "all processes are new",
        Outcome::Failed => {
            "the application cannot be loaded, the error log tells why; processes that served before serve on"
        }
        Outcome::Unknown => "there is no such process group",
    }
}

/// The states of the processes that have been reported.
#[derive(Debug, Default)]
struct Progress {
    known: BTreeMap<u32, (String, State)>,
}

impl Progress {
    fn of(before: &Status) -> Self {
        let all = before.groups.iter().flat_map(|group| group.processes.iter().map(move |process| (group, process)));
        Self {
            known: all
                .map(|(group, process)| {
                    (process.pid, (String::from_utf8_lossy(&group.name).into_owned(), process.state))
                })
                .collect(),
        }
    }

    fn tell(&mut self, now: &Status) {
        self.changes(now).iter().for_each(|line| say(line));
    }

    /// Returns a line for each process whose state differs from the one reported before.
    fn changes(&mut self, now: &Status) -> Vec<String> {
        let current = Self::of(now).known;
        let ended = self.known.iter().filter(|(pid, _)| !current.contains_key(pid));
        let mut lines: Vec<_> = ended.map(|(pid, (group, _))| format!("{group}: process {pid} has ended")).collect();
        for (pid, (group, state)) in &current {
            let before = self.known.get(pid).map(|(_, before)| before);
            if before == Some(state) {
                continue;
            }
            let what = match state {
                State::Starting => "loads the application",
                State::Ready => "serves",
                State::Reloading => "waits for its successor",
                // One that is new and has never been seen to serve has no requests.
                State::Draining if matches!(before, None | Some(State::Starting)) => "is given up",
                State::Draining => "finishes its requests",
                State::Free => continue,
            };
            lines.push(format!("{group}: process {pid} {what}"));
        }
        self.known = current;
        lines
    }
}

#[cfg(test)]
mod tests {
    use wsgi_wire::status::{Durations, GroupStatus, ProcessStatus};

    use super::*;

    fn status(processes: &[(u32, State)]) -> Status {
        let process = |(pid, state): &(u32, State)| ProcessStatus {
            pid: *pid,
            state: *state,
            started: 0,
            generation: 1,
            threads: 5,
            busy: 0,
            in_flight: 0,
            requests: 0,
            websockets: 0,
            background: 0,
            messages_in: 0,
            messages_out: 0,
            lag: Durations::default(),
        };
        let group = GroupStatus {
            name: b"shop".as_slice().into(),
            wanted: 1,
            threads: 5,
            processes: processes.iter().map(process).collect(),
            ..GroupStatus::default()
        };
        Status { time: 0, started: 0, generation: 1, groups: vec![group] }
    }

    #[test]
    fn each_process_is_told_of_when_it_changes() {
        let mut progress = Progress::of(&status(&[(7, State::Ready)]));
        assert_eq!(progress.changes(&status(&[(7, State::Ready)])), [""; 0]);
        let loads = progress.changes(&status(&[(7, State::Ready), (8, State::Starting)]));
        assert_eq!(loads, ["shop: process 8 loads the application"]);
        let serves = progress.changes(&status(&[(7, State::Draining), (8, State::Ready)]));
        assert_eq!(serves, ["shop: process 7 finishes its requests", "shop: process 8 serves"]);
        assert_eq!(progress.changes(&status(&[(8, State::Ready)])), ["shop: process 7 has ended"]);
        let failed = progress.changes(&status(&[(8, State::Ready), (9, State::Draining)]));
        assert_eq!(failed, ["shop: process 9 is given up"]);
    }
}
