//! A request in Apache's hands: which script it is for, what the application is told, how its body and its response
//! travel.
//!
//! Knows httpd through its safe views, the settings in force, and the relay and the engine as ways to have a request
//! executed. Must not change what outlives the request, but for what the process table counts.
#![forbid(unsafe_code)]

mod access;
mod ahead;
#[cfg_attr(windows, path = "windows/asgi.rs")]
mod asgi;
mod client;
mod client_body;
mod client_websocket;
mod context;
mod decimal;
mod destination;
mod environ;
mod exchange;
mod executor;
#[cfg_attr(windows, path = "windows/guarded.rs")]
mod guarded;
mod guarded_file;
mod handler;
#[cfg_attr(windows, path = "windows/in_group.rs")]
mod in_group;
mod linger;

mod question;
mod refused;
pub mod response_head;
mod scratch;
#[cfg_attr(windows, path = "windows/span.rs")]
mod span;
mod spool;
#[cfg_attr(windows, path = "windows/status_page.rs")]
mod status_page;
#[cfg(unix)]
mod stream_place;
mod translate;
#[cfg(unix)]
mod uploads;
mod variables;
pub mod waking;
#[cfg(unix)]
mod way;
#[cfg_attr(windows, path = "windows/websocket.rs")]
mod websocket;

pub use self::access::{access_checker, check_groups, check_password, realm_hash};
pub use self::handler::{fixups, handler};
pub use self::linger::linger;
pub use self::status_page::mod_status_part;
pub use self::translate::translate_name;
