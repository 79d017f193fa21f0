//! What happens when the supervisor ends although nobody has asked it to.
#![forbid(unsafe_code)]

use std::process::ExitStatus;

use wsgi_wire::messages::processes;

use crate::daemons::parent;
use crate::httpd::log;

/// Starts another supervisor, after one has ended although nobody asked it to.
pub fn ended(pid: i32, status: ExitStatus) {
    log::main(
        &processes::SUPERVISOR_ENDED,
        format_args!("the supervisor of the daemon processes (pid {pid}) was ended by {status}; starting another"),
    );
    if let Err(error) = parent::relaunch() {
        log::main(
            &processes::NO_SUPERVISOR,
            format_args!("cannot start the supervisor: {error}; requests to process groups will fail"),
        );
    }
}
