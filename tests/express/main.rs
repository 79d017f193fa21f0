//! The command `mod_wsgi-express`.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod acme;
mod applications;
mod asgi;
mod authority;
mod check;
mod commands;
mod container;
mod debugging;
mod effects;
mod graceful;
mod habits;
mod https;
mod mistakes;
mod options;
mod passed_sockets;
mod running;
mod server_root;
mod service;
mod status;
mod telemetry;
mod trial;
