//! A generated Apache server as values, and the `httpd.conf` text that says the same.
//!
//! Only active directives are written, each group of them under a comment that names the option it comes
//! from, and every value is quoted so that Apache reads back exactly the text that was given ([`Arg`]).
//!
//! Knows directives, how Apache reads them, and in which order they have to stand. Must not know files, users or a
//! command line: whoever fills in a [`Server`] has decided everything.
#![forbid(unsafe_code)]

mod access;
mod arg;
mod block;
mod connection;
mod content;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod logs;
mod proxy;
mod server;
mod sites;
mod tls;
mod workers;
mod wsgi;

pub use access::{Access, Authentication, Scheme};
pub use arg::Arg;
pub use block::{Block, Directive, ValueError};
pub use connection::{Connection, ReadLimit};
pub use content::{Alias, Application, Content, Files};
pub use logs::{AccessLog, Logs, Target};
pub use proxy::{Mount, NamedHost, Proxy};
pub use server::{Environment, Module, RunAs, STATUS_PAGES, Server};
pub use sites::Sites;
pub use tls::{Acme, ClientCertificates, NamedCertificate, Tls};
pub use workers::{Fractions, Mpm, Sizes};
pub use wsgi::{Hosting, HostingMode, Service, Telemetry, Wsgi};
