//! What the server tells about itself, from the process table alone: no daemon process and no Python is asked.
//!
//! * [`report`]: the figures; [`question`]: which of them, in what form, a request wants.
//! * [`prometheus`], [`json`], [`page`], [`mod_status`]: the forms; [`health`]: answers for load balancers.
//! * [`publisher`]: Apache's scoreboard for `mod_wsgi.server_metrics()`.
//!
//! Knows the table and the ways to write what is in it. Must not know how requests are served, and changes nothing.
#![forbid(unsafe_code)]

pub mod health;
pub mod json;
pub mod mod_status;
pub mod page;
pub mod prometheus;
pub mod publisher;
pub mod question;
#[cfg(test)]
mod reference;
pub mod report;
