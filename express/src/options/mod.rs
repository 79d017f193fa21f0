//! Every option, once: what the parser, the help and the checks know comes from here.
//!
//! An [`Options`] is text that has been checked by itself. What depends on this machine (files, users, Apache) is the matter of
//! [`crate::plan`].

mod application;
mod capacity;
mod check;
mod content;
mod network;
mod operation;

pub use application::{Application, ApplicationType};
pub use capacity::{Capacity, Mpm, Timeouts, Transfer};
pub use check::OptionError;
pub use content::{Access, AuthType, Content};
pub use network::{Address, Https, Proxying};
pub use operation::{Debugging, Identity, Layout, LogFormat, Logging, Monitoring, Services};

use clap::Args;

/// The options of `start-server` and `setup-server`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which application.
    #[command(flatten)]
    pub application: Application,
    /// Where it listens.
    #[command(flatten)]
    pub address: Address,
    /// HTTPS.
    #[command(flatten)]
    pub https: Https,
    /// Files.
    #[command(flatten)]
    pub content: Content,
    /// Processes and threads.
    #[command(flatten)]
    pub capacity: Capacity,
    /// Time limits.
    #[command(flatten)]
    pub timeouts: Timeouts,
    /// Buffers.
    #[command(flatten)]
    pub transfer: Transfer,
    /// Logs.
    #[command(flatten)]
    pub logging: Logging,
    /// User and environment.
    #[command(flatten)]
    pub identity: Identity,
    /// Access.
    #[command(flatten)]
    pub access: Access,
    /// Other servers.
    #[command(flatten)]
    pub proxying: Proxying,
    /// Programs beside the application.
    #[command(flatten)]
    pub services: Services,
    /// Monitoring.
    #[command(flatten)]
    pub monitoring: Monitoring,
    /// Server root.
    #[command(flatten)]
    pub layout: Layout,
    /// Debugging.
    #[command(flatten)]
    pub debugging: Debugging,
}

/// The values of an option that takes two words each time.
pub fn pairs(words: &[String]) -> impl Iterator<Item = (&str, &str)> {
    words.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()))
}
