//! Attacks on a running server: as a client, as an application that speaks frames itself, as another local user, as the
//! owner of a virtual environment. Each test is named after the boundary that holds.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod answers;
mod command;
mod files;
mod guarded;
mod isolation;
mod passed;
mod records;
mod requests;
mod resources;
mod responses;
mod telemetry;
mod unit;
mod unread_bodies;
