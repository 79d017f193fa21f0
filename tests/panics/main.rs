//! A panic in each hook, callback and phase of a request: it costs what it happened in, and nothing else. `make panics`
//! builds the product with the feature `panics`, by which a file that `MOD_WSGI_PANIC` names says where the next panic
//! happens, and names the directory of that build in `PANICS`.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod access;
mod asgi;
mod configuration;
mod members;
mod outside;
mod place;
mod requests;
mod threads;
mod websockets;
