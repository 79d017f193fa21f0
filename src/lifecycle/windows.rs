//! The life of the server on Windows: the configuration is read and taken, and its one child begins and ends.
//!
//! Knows embedded mode. Must not know requests.
#![forbid(unsafe_code)]

#[path = "child.rs"]
mod child;
#[path = "surroundings.rs"]
mod surroundings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

pub use self::child::child_forked;
use wsgi_unix::panics;
use wsgi_wire::messages::configuration as messages;

use crate::daemons::{self, Runtime, configure};
use crate::directives::configuration::{Configuration, DRAFT};
use crate::embedded;
use crate::httpd::pool::Pool;
use crate::httpd::server::{self, Run, Server};
use crate::httpd::{HookStatus, control, log, tree};
use crate::policy::observed_variables::ObservedVariables;
use crate::policy::undefined;

/// `pre_config`: directives are about to be read.
pub fn before_configuration() {
    *DRAFT.lock().unwrap_or_else(PoisonError::into_inner) = Configuration::EMPTY;
}

/// Names of process groups are those of another system's configuration.
pub fn check_config(_temporary: Pool<'_>, main: Server<'_>) -> HookStatus {
    if server::run() == Run::ConfigTest {
        for sentence in undefined::groups(&tree::configuration(), &[]) {
            log::server(main, &messages::UNDEFINED_GROUP, format_args!("{sentence}"));
        }
    }
    HookStatus::Ok
}

/// Takes the configuration that was read.
pub fn post_config(pconf: Pool<'_>, temporary: Pool<'_>, main: Server<'_>) -> HookStatus {
    let configuration =
        std::mem::replace(&mut *DRAFT.lock().unwrap_or_else(PoisonError::into_inner), Configuration::EMPTY);
    surroundings::name_ourselves(pconf);
    if server::run() != Run::Real {
        return HookStatus::Ok;
    }
    surroundings::warn_of_mistakes(&configuration, main);
    let package = control::module_path().and_then(package_of);
    let around = match surroundings::surroundings(package.as_deref(), "", temporary, main) {
        Ok(around) => around,
        Err(error) => {
            log::server(main, &messages::CANNOT_START, format_args!("{error}"));
            return HookStatus::Status(500);
        }
    };
    daemons::set_current(Some(Arc::new(Runtime {
        embedded: (!configuration.restrict_embedded).then(|| configure::embedded(&configuration, &around)),
        lingers: configuration.lingers,
        case_sensitive: configuration.case_sensitive,
        observed_variables: ObservedVariables::read(&tree::configuration()),
        caches_passwords: surroundings::caches(&tree::configuration()),
    })));
    HookStatus::Ok
}

/// The directory of the Python package that the module's file is in.
fn package_of(module: &Path) -> Option<PathBuf> {
    let package = module.parent()?.parent()?;
    let is_ours = package.file_name()? == "mod_wsgi" && package.join("_daemon.py").exists();
    package.parent().filter(|_| is_ours).map(Path::to_owned)
}

/// There are no processes whose ends would have to be logged.
pub fn logs_end() {}

/// The pool of the configuration is cleared: httpd ends, or reads its configuration again with the module loaded anew.
pub fn configuration_ends() {
    daemons::set_current(None);
    panics::remove();
}

/// `child_init`: the child begins.
pub fn child_init() {
    if let Some(plan) = daemons::current().as_ref().and_then(|runtime| runtime.embedded.as_ref()) {
        child::preload(plan);
    }
}

/// The child ends, and everything that it has of httpd's is still there.
pub fn child_ends() {
    embedded::end();
}

/// Nobody counts children.
pub fn child_started() {}

/// Nobody counts children.
pub fn child_ended(_pid: u32) {}
