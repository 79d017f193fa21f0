//! The Apache half: `mod_wsgi.so`. It has no Python symbol; applications run in daemon processes that it talks to over sockets.
//!
//! ```text
//! httpd ── httpd/ ── hooks/ ─┬─ directives/   what the configuration says
//!                            ├─ policy/       what is decided about a request (pure)
//!                            ├─ environ       what applications are told of it
//!                            ├─ relay/        the conversation with a daemon process
//!                            ├─ embedded/     Python in an Apache child, for requests without a process group
//!                            └─ daemons/      the process groups, and the supervisor that runs them
//! ```
//!
//! `fuzz` is there for the fuzz targets. Only `httpd/` touches httpd's own records. Unsafe code is there, and in `embedded/` for the interpreter's library.

mod daemons;
mod directives;
mod embedded;
mod environ;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hooks;
mod httpd;
mod policy;
mod relay;
mod status;

/// The version of mod_wsgi whose behaviour this module has: what applications and scanners look for.
const VERSION: &str = "6.1.1";
