//! The life of the server: the configuration is read and taken, children begin and end, and so does the supervisor.
//!
//! Knows process groups, embedded mode and the status. Must not know requests.
#![forbid(unsafe_code)]

mod check;
mod child;
mod passed_sockets;
mod start;
mod supervisor;
mod surroundings;
mod verdict;
mod websockets;

use std::sync::PoisonError;

pub use self::check::check_config;
pub use self::child::child_forked;
pub use self::start::post_config;
use wsgi_unix::panics;
use wsgi_wire::messages::processes;

use crate::daemons::{self, parent, records};
use crate::directives::configuration::{Configuration, DRAFT};
use crate::embedded;
use crate::httpd::{control, log};
use crate::status::publisher;

/// `pre_config`: directives are about to be read.
pub fn before_configuration() {
    *DRAFT.lock().unwrap_or_else(PoisonError::into_inner) = Configuration::EMPTY;
}

/// Ends the supervisor when httpd ends and is about to close its logs, which have to hear of the ends of all processes
/// first.
pub fn logs_end() {
    parent::stop();
}

/// The pool of the configuration is cleared: httpd ends, or reads its configuration again with the module loaded anew.
pub fn configuration_ends() {
    parent::forget();
    daemons::set_current(None);
    panics::remove();
}

/// `child_init`: a child begins.
pub fn child_init() {
    let Some(runtime) = daemons::current() else { return control::leave_to_parent() };
    // With `httpd -X` the only process is both.
    if std::process::id() == runtime.sockets.parent {
        parent::tell_settled();
    } else {
        control::leave_to_parent();
    }
    records::start(&runtime);
    if let Some(table) = runtime.table {
        table.header().child_begins();
    }
    if let (Some(table), Some(scoreboard), true) = (runtime.table, runtime.scoreboard, runtime.has_metrics()) {
        publisher::start(table, scoreboard);
    }
    if let Some(plan) = &runtime.embedded {
        child::preload(plan);
    }
}

/// A child ends, and everything that it has of httpd's is still there. No thread of ours is left afterwards, unless
/// Python does not end in time.
pub fn child_ends() {
    if let Some(table) = daemons::current().and_then(|runtime| runtime.table) {
        table.header().child_settles();
    }
    publisher::stop();
    embedded::end();
    // Last, for what the others have to say.
    records::stop();
}

/// In the parent: a child has been started.
pub fn child_started() {
    if let Some(table) = daemons::current().and_then(|runtime| runtime.table) {
        table.header().child_started();
    }
}

/// In the parent: the child with this pid has ended.
pub fn child_ended(pid: u32) {
    let Some(runtime) = daemons::current() else { return };
    let websockets = runtime.table.map_or(0, |table| table.header().websockets.end(pid));
    if websockets > 0 {
        log::main(
            &processes::CHILD_DIED_WITH_WEBSOCKETS,
            format_args!(
                "Apache child {pid} has died with {websockets} WebSockets, whose clients see that their connections are lost"
            ),
        );
    }
    if let Some(table) = runtime.table.filter(|table| table.header().child_ended()) {
        table.forget_requests(runtime.groups.values().map(|group| group.pages));
        table.header().workers.forget();
        runtime.groups.values().for_each(|group| group.relay.record.forget_places());
        log::main(
            &processes::APACHE_CHILD_DIED,
            format_args!("an Apache child has died; the requests of daemon processes are counted anew"),
        );
    }
}
