//! The Python half of mod_wsgi: an extension module that turns the interpreter which imports it into a daemon process,
//! and serves the requests of an Apache child in embedded mode.
//!
//! Its rooms, from top to bottom; each uses only rooms below it (`docs/architecture.md`, enforced by
//! `tests/architecture`):
//! * `fuzz`: what is fuzzed of all this.
//! * `entry`: the ways in. `embedded`: requests in an Apache child, by function calls.
//! * `daemon`: the life of a daemon process. `workers`: its threads, to which requests come over the wire. `asgi`: its
//!   event loop.
//! * `life`: what begins and ends with a process, in both modes.
//! * `interpreters`: all interpreters of the process.
//! * `gateway`: one request, and the objects of WSGI. `api`: what applications import.
//! * `request`: the state of a request, on bytes. `telemetry`: what is told of requests. `interpreter`: one
//!   interpreter.
//! * `process`: what the whole process shares. `log`: records of no request. `metrics`: what requests have cost.
//! * `ffi`: the only unsafe code but that of `entry`. `moments`: when things happened to a request.
//!
//! On Windows there is embedded mode alone: `asgi` and `workers` are not compiled, `daemon` is a refusal, and what
//! stands in the place of the few other modules that know Unix is in directories called `windows`. What the system
//! itself is asked has one name on both (`wsgi_unix`).
//!
//! Knows Python and the wire. Must not know httpd: not one name of it.

#![cfg_attr(windows, allow(dead_code, reason = "what only daemon processes use"))]

mod api;
#[cfg(unix)]
mod asgi;
#[cfg_attr(windows, path = "windows/daemon.rs")]
mod daemon;
mod embedded;
mod entry;
mod ffi;
#[cfg(all(unix, any(test, fuzzing)))]
pub mod fuzz;
mod gateway;
mod interpreter;
mod interpreters;
mod life;
mod log;
mod metrics;
mod moments;
mod process;
mod request;
mod telemetry;
#[cfg(unix)]
mod workers;
