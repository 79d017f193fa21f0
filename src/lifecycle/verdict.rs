//! The verdict about an application that `mod_wsgi-express start-server` tries while Apache starts.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, fstat};
use rustix::process::{Pid, WaitOptions, waitpid};
use wsgi_wire::verdict::{DEFINE, Verdict};

use crate::httpd::server;

/// How long the judge may take to end once it has spoken.
const END: Duration = Duration::from_secs(1);

/// Waits for the verdict, if one is to be waited for, and returns whether the application may be served. The daemon
/// processes load it meanwhile; those that wait for a connection find Apache listening and wait, too.
pub fn is_good() -> bool {
    let stdin = io::stdin();
    // At a restart there is no judge any more: standard input is as empty as that of other servers.
    let is_socket = fstat(&stdin).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::Socket);
    if !server::is_defined(DEFINE) || !is_socket {
        return true;
    }
    let verdict = read(stdin.as_fd().try_clone_to_owned().map(UnixStream::from));
    let emptied = File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?));
    verdict.is_some_and(|verdict| {
        reap(verdict);
        true
    }) && emptied.is_ok()
}

fn read(socket: io::Result<UnixStream>) -> Option<Verdict> {
    let mut bytes = [0; Verdict::SIZE];
    socket.ok()?.read_exact(&mut bytes).ok()?;
    Verdict::read(bytes)
}

/// Takes what is left of the judge: to httpd it would be a child that it does not know. Beside a terminal it is the
/// command's child. Its word is the application's, so that nobody waits long for it.
fn reap(Verdict { judge }: Verdict) {
    let Some(pid) = i32::try_from(judge).ok().and_then(Pid::from_raw) else { return };
    let begin = Instant::now();
    while matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)) && begin.elapsed() < END {
        std::thread::sleep(Duration::from_millis(1));
    }
}
