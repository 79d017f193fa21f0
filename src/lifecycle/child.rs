//! What every Apache child does at its beginning, whichever system it runs on.
#![forbid(unsafe_code)]

use wsgi_wire::messages::processes;

use crate::daemons;
use crate::embedded::{self, EmbeddedError, Plan};
use crate::httpd::{log, process};

/// `child_init` at its very beginning: this process has one thread, and nothing of ours has begun.
pub fn child_forked() {
    if let Some(plan) = daemons::current().as_ref().and_then(|runtime| runtime.embedded.as_ref()) {
        process::set_variables(&plan.environment);
    }
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
