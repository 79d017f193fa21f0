//! What a server may not leave behind.

use crate::logs::{Log, records};
use crate::processes;
use crate::product::product;
use crate::wait::eventually;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;
use wsgi_wire::messages;

/// Texts in an error log that mean a crash, whatever the test was about.
const CRASHES: [&str; 3] = ["panicked at", "Sanitizer", "double free"];

/// How our guards begin the record of a panic that they have caught. Only a test that has brought it about may announce
/// it.
const CAUGHT_PANIC: &str = "panic in ";

/// Apache's own record of a child that a signal ended.
const DEAD_CHILD: &str = "AH00052";

/// How long daemons may need to notice that their Apache has gone.
const DAEMON_END_WAIT: Duration = Duration::from_secs(5);

/// The Apache children that have crashed so far. To be asked before the server is stopped or restarted: a child of the
/// event MPM that is stopped while a worker closes a connection may shut down the socket of that connection when its
/// memory is gone. Apache does so without any other module (seen with 2.4.71).
pub(crate) fn dead_children(log: &str) -> Vec<String> {
    lines_with(log, &[DEAD_CHILD])
}

/// The processes that still run after a server's end, and the crashes in its log.
pub(crate) fn complaints(leader: Option<u32>, root: &Path, log: &str) -> Vec<String> {
    let mut found = Vec::new();
    if eventually(DAEMON_END_WAIT, || processes::of_server(leader, root).is_empty().then_some(())).is_none() {
        for pid in processes::of_server(leader, root) {
            found.push(format!("process {pid} still runs: {}", processes::command_line(pid)));
        }
    }
    found.extend(lines_with(log, &CRASHES));
    found
}

/// The caught panics, warnings and errors of ours in a log that its test has not announced ([`Log::expect`]), and what
/// is not as the table of messages has it.
pub(crate) fn unannounced(log: &Log) -> Vec<String> {
    let mut found = log.unannounced();
    let panics = records(&log.text()).into_iter().filter(|record| record.contains(CAUGHT_PANIC));
    found.extend(panics.filter(|record| !log.announces(record)));
    found.sort();
    found.dedup();
    found.into_iter().map(|record| format!("not announced by the test: {record}")).chain(misnumbered(log)).collect()
}

/// The records in a log that begin with the number of a message and are not what the table of messages says of it.
/// Another implementation has other words.
fn misnumbered(log: &Log) -> Vec<String> {
    if !product().is_ours() {
        return Vec::new();
    }
    let wrong = records(&log.text()).into_iter().filter(|record| !is_as_the_table_says(record));
    wrong.map(|record| format!("not as wire/src/messages has it: {record}")).collect()
}

fn is_as_the_table_says(record: &str) -> bool {
    // A piece of a long one is not the whole text.
    let Some((number, said)) = number(record).filter(|_| !record.contains("... continued")) else { return true };
    // Apache escapes what could end a quoted field.
    let said = said.replace("\\\"", "\"");
    messages::numbered(number).is_some_and(|message| {
        let level = message.level.name();
        let told = [format!("[wsgi:{level}]"), format!(r#""level":"{level}""#)];
        told.iter().any(|level| record.contains(level)) && message.fits(&said)
    })
}

/// The number that a record of ours begins with, and what follows it.
fn number(record: &str) -> Option<(u16, &str)> {
    let (_, rest) = record.split_once("WSGI").filter(|(before, _)| before.ends_with([' ', '"']))?;
    let (number, said) = rest.split_once(": ")?;
    Some((number.parse().ok().filter(|_| number.len() == 4)?, said))
}

/// The files in a directory that a stopped server should have removed.
pub(crate) fn left_in(directory: &Path, is_temporary: impl Fn(&Path) -> bool) -> Vec<String> {
    let paths = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| is_temporary(path)).map(|path| format!("left behind: {}", path.display())).collect()
}

/// Kills everything that a server started.
pub(crate) fn kill_all(leader: Option<u32>, root: &Path) {
    for pid in processes::of_server(leader, root) {
        processes::kill(pid, libc::SIGKILL);
    }
}

/// Whether a file in a server root belongs to a running server only.
pub(crate) fn of_a_running_server(path: &Path) -> bool {
    let socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    socket || path.extension().is_some_and(|extension| extension == "pid" || extension == "lock")
}

/// Shows the logs of a server whose test has failed, and fails the test of a server that left something behind.
pub(crate) fn report(complaints: &[String], logs: &[&Log]) {
    if std::thread::panicking() || !complaints.is_empty() {
        for log in logs {
            eprintln!("--- {}\n{}---", log.path().display(), log.text());
        }
    }
    if !std::thread::panicking() {
        assert!(complaints.is_empty(), "the server left something behind: {complaints:#?}");
    }
}

fn lines_with(log: &str, texts: &[&str]) -> Vec<String> {
    let found = log.lines().filter(|line| texts.iter().any(|text| line.contains(text)));
    found.map(|line| format!("in the log: {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::is_as_the_table_says;

    #[test]
    fn a_record_with_a_number_is_what_the_table_says() {
        let record =
            |level: &str, said: &str| format!("[Sun] [wsgi:{level}] [pid 1:tid 2] [client 1] [script /a] {said}");
        let known = "the script does not exist or cannot be read";
        assert!(is_as_the_table_says(&record("error", &format!("WSGI0135: {known}"))));
        assert!(is_as_the_table_says(&record(
            "error",
            "an application's own words, about WSGI and WSGIScriptAlias: x"
        )));
        for wrong in ["WSGI0135: another text", "WSGI9999: no such number"] {
            assert!(!is_as_the_table_says(&record("error", wrong)), "{wrong}");
        }
        assert!(!is_as_the_table_says(&record("warn", &format!("WSGI0135: {known}"))));
    }
}
