//! Sockets that a server is started with, as systemd passes them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Moves the descriptors to number 3 and those that follow, says so in the environment as `sd_listen_fds(3)` has it,
/// and
/// becomes the server.
const PASS: &str = r#"
import fcntl, os, sys
numbers = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 100) for number in sys.argv[1].split(",")]
for place, number in enumerate(numbers, 3):
    os.dup2(number, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES="http")
os.execvp(sys.argv[2], sys.argv[2:])
"#;

/// The command with these sockets; without any, as it is.
pub(crate) fn passing(command: Command, sockets: Vec<OwnedFd>) -> Command {
    if sockets.is_empty() {
        return command;
    }
    let numbers: Vec<String> = sockets.iter().map(|socket| socket.as_raw_fd().to_string()).collect();
    let mut outer = Command::new("python3");
    outer.args(["-c", PASS, &numbers.join(",")]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.current_dir(command.get_current_dir().expect("servers of tests are started in their own directory"));
    let inherit = move || {
        for socket in &sockets {
            // SAFETY: changes a flag of a descriptor that the closure owns.
            if unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFD, 0) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: fcntl is async-signal-safe, and nothing is allocated.
    unsafe { outer.pre_exec(inherit) };
    outer
}
