//! The Python half of mod_wsgi: an extension module that turns the interpreter which imports it into a daemon process.
//!
//! The rooms, from top to bottom:
//! * `entry`: the ways in. `embedded`: requests in an Apache child, by function calls.
//! * `daemon`: the life of a daemon process. `workers`: its threads; requests come in over the wire.
//! * `interpreters`: all interpreters of the process.
//! * `gateway`: one request, and the objects it consists of. `api`: what applications import.
//! * `request`: what a request is, on bytes, behind the trait of `request::transport`.
//! * `interpreter`: one interpreter. `process`: what the whole process shares. `log`: what is logged outside of requests.
//! * `metrics`: what requests have cost. `ffi`: the only unsafe code but that of `entry`.
//! * `fuzz`: what is fuzzed of all this.

mod api;
mod daemon;
mod embedded;
mod entry;
mod ffi;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod interpreter;
mod interpreters;
mod log;
mod metrics;
mod moments;
mod process;
mod request;
mod workers;
