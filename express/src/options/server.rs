//! The options of a server, all together.

use clap::Args;

use super::application::Application;
use super::asgi::Asgi;
use super::capacity::{Capacity, Timeouts, Transfer};
use super::content::{Access, Content};
use super::debugging::Debugging;
use super::network::{Address, Https, Proxying};
use super::operation::{Identity, Layout, Logging, Monitoring, Services};

/// The options of `start-server` and `setup-server`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which application.
    #[command(flatten)]
    pub application: Application,
    /// What it speaks.
    #[command(flatten)]
    pub asgi: Asgi,
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
