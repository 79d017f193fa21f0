//! The configuration in force on Windows: embedded mode, and no process group.
#![forbid(unsafe_code)]

use crate::embedded::Plan;
use crate::policy::observed_variables::ObservedVariables;

/// A process group, of which there is none.
#[derive(Debug)]
pub enum Group {}

/// The configuration in force.
#[derive(Debug)]
pub struct Runtime {
    /// How a child begins Python; `None` where `WSGIRestrictEmbedded` forbids it.
    pub embedded: Option<Plan>,
    /// Whether `WSGILinger` is on.
    pub lingers: bool,
    /// Whether `WSGICaseSensitivity` is on.
    pub case_sensitive: bool,
    /// Which variables of requests other modules look at.
    pub observed_variables: ObservedVariables,
    /// Whether `AuthnCacheProvideFor wsgi` lets mod_authn_socache remember passwords that a script has found right.
    pub caches_passwords: bool,
}
