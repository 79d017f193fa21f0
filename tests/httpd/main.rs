//! The module in a plain Apache: directives, daemons, and what applications see.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod access;
mod black_box;
mod body_errors;
mod chroot;
mod configuration;
mod daemon_options;
mod directives;
mod dispatch;
mod early_answers;
mod early_hints;
mod echo;
mod embedded;
mod ended_processes;
mod environ;
mod exceptions;
mod file_wrapper;
mod forks;
mod guarded_files;
mod interpreters;
mod iterables;
mod lifecycle;
mod linkage;
mod log_handler;
mod logs;
mod mounts;
mod neighbours;
mod overload;
mod prompt_answers;
mod pythons;
mod response_headers;
mod rolling;
mod script_walk;
mod scripts;
mod server_metrics;
mod sockets;
mod stacks;
mod start_response;
mod status;
mod streams;
mod table;
mod timeouts;
mod type_stubs;
mod validator;
mod variables;
