//! The Apache half: `mod_wsgi.so`. It has no Python symbol; applications run in daemon processes that it talks to over
//! sockets.
//!
//! ```text
//! httpd ── module/ ─┬─ lifecycle/   the configuration is taken, children begin and end
//!                   └─ request/     a request: its script, its environ, its body and response
//!
//! pump/         WebSockets that hold no thread of httpd's
//! status/       what the status pages say
//! daemons/      the process groups, and the supervisor that runs them
//! embedded/     Python in an Apache child, for requests without a process group
//! directives/   what the configuration says
//! httpd/        safe views of httpd's records
//! relay/        the conversation with a daemon process
//! policy/       what is decided about a request (pure)
//! ```
//!
//! `fuzz` is there for the fuzz targets. Only `module/` and `httpd/` touch httpd's own records. Unsafe code is there,
//! and in `embedded/` for the interpreter's library.
//!
//! On Windows there is embedded mode alone: no supervisor, no sockets, no relay, no status. What stands in the place of
//! such modules is in directories called `windows`.
//!
//! Knows httpd and the wire. Must not know Python: not one name of it, outside `embedded/`.

#![cfg_attr(windows, allow(dead_code, reason = "what only the daemon half uses"))]

mod daemons;
mod directives;
mod embedded;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod httpd;
#[cfg_attr(windows, path = "lifecycle/windows.rs")]
mod lifecycle;
mod module;
mod policy;
#[cfg(unix)]
mod pump;
mod relay;
mod request;
#[cfg(unix)]
mod status;

/// The version of mod_wsgi whose behaviour this module has: what applications and scanners look for.
const VERSION: &str = "6.1.1";
