//! The Python half of mod_wsgi: an extension module that turns the interpreter which imports it into a daemon process.
//!
//! * `run`: the life of the process. `steward`: its main thread. `control`: the supervisor. `lifecycle`, `monitor`, `policy`, `errand`: when it ends, and why.
//! * `poller`, `intake`, `lead`, `worker`, `connection`, `route`: requests come in over the wire.
//! * `embedded`: the same in an Apache child, by function calls.
//! * `gateway`, `answer`: one request. `environ`, `adapter`, `input`, `streams`, `file_wrapper`, `output`: the objects it consists of.
//!   What they mean is decided in `response`, `body` and `lines`, on bytes, behind the trait of `exchange`.
//! * `interpreters`, `interpreter`, `options`, `support`, `script`, `reload`, `module`, `events`, `metrics`: what applications live in.
//! * `forked`: what becomes of processes that applications fork.
//! * `record`, `order`: what is logged outside of requests. `cure`: what helps against known failures.
//! * `thread`: stacks.
//! * `recorder`: what is noted for the record of an end that nobody wanted. `ffi`: the only unsafe code.
//! * `fuzz`: what is fuzzed of all this.

mod adapter;
mod answer;
mod body;
mod connection;
mod control;
mod cure;
mod embedded;
mod environ;
mod errand;
mod events;
mod exchange;
mod failure;
mod ffi;
mod file_wrapper;
mod forked;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gateway;
mod input;
mod intake;
mod interpreter;
mod interpreters;
mod lead;
mod lifecycle;
mod metrics;
mod module;
mod monitor;
mod names;
mod options;
mod order;
mod output;
mod policy;
mod poller;
mod process;
mod record;
mod recorder;
mod reload;
mod reply;
mod request;
mod response;
mod route;
mod run;
mod script;
mod steward;
mod streams;
mod support;
mod thread;
mod worker;
