//! `check`: will this application run, and does this configuration of Apache make sense? Nothing is started or written.
//!
//! Knows what applications and configurations need. Must not know how a server is made or run.

mod apache;
mod application;
mod configuration;
mod https;
mod machine;

use crate::facts::Facts;
use crate::finding::{self, Finding};
use crate::options::CheckOptions;
use crate::plan::Caller;

/// Checks, and prints what is found. Returns the exit code.
///
/// # Errors
/// Never in fact: everything found can be JSON.
pub fn check(options: &CheckOptions, facts: &Facts, caller: &Caller) -> Result<i32, serde_json::Error> {
    let (findings, subject): (Vec<Finding>, _) = if options.apache {
        apache::findings(options.file.as_deref(), &options.options.layout, caller)
    } else {
        let subject = options.options.application.entry_point.as_ref().or(options.options.application.entry.as_ref());
        let subject = subject.map_or("the application", String::as_str).to_owned();
        (application::findings(&options.options, facts, caller), subject)
    };
    let code = i32::from(!finding::is_good(&findings));
    print!("{}", finding::report(findings, &subject, options.format)?);
    Ok(code)
}
