//! What every Apache child does at its beginning, whichever system it runs on.
#![forbid(unsafe_code)]

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
#[cfg(unix)]
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::processes;

use crate::daemons;
use crate::embedded::{self, EmbeddedError, Plan};
#[cfg(unix)]
use crate::httpd::listeners;
use crate::httpd::{log, process};

/// `child_init` at its very beginning: this process has one thread, and nothing of ours has begun.
pub fn child_forked() {
    if let Some(plan) = daemons::current().as_ref().and_then(|runtime| runtime.embedded.as_ref()) {
        process::set_variables(&plan.environment);
    }
    #[cfg(unix)]
    listeners::leave_to_parent();
    #[cfg(unix)]
    raise_files();
}

/// Lets this child have as many descriptors as it can get, where it may have WebSockets: each of them takes two.
#[cfg(unix)]
fn raise_files() {
    let has_loops = |group: &daemons::Group| group.interface != Interface::Wsgi;
    if !daemons::current().is_some_and(|runtime| runtime.groups.values().any(has_loops)) {
        return;
    }
    let before = getrlimit(Resource::Nofile);
    // With fewer there are fewer WebSockets.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
}

/// Begins Python in this child, and loads scripts, if the configuration has some for it.
pub fn preload(plan: &Plan) {
    if !plan.is_eager() {
        return;
    }
    match embedded::engine(plan) {
        Ok(_) | Err(EmbeddedError::Ending) => {}
        Err(error) => log::main(
            &processes::PRELOAD_IN_CHILD,
            format_args!("scripts cannot be loaded into this Apache child: {error}"),
        ),
    }
}
