//! Every option, once: what the parser, the help and the checks know comes from here.
//!
//! An [`Options`] is text that has been checked by itself.
//!
//! Knows text. Must not know this machine: files, users and Apache are the matter of [`crate::plan`].

mod application;
mod asgi;
mod capacity;
mod check;
mod collector;
mod content;
mod debugging;
mod interface;
mod names;
mod network;
mod operation;
mod server;
mod telling;

pub use application::{ApplicationType, is_dotted, module_and_callable};
pub use asgi::Interface;
pub use capacity::{Capacity, Mpm};
pub use check::OptionError;
pub use content::AuthType;
pub use debugging::Debugging;
pub use names::FACTORY;
pub use network::{HTTP, Listener, Place, socket_host};
pub use operation::{Layout, LogFormat, Logging, Monitoring, Unit};
pub use server::{Options, pairs};
pub use telling::{CheckOptions, Format, RestartOptions, Running, StatusOptions};
