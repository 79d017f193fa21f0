//! Why there can be no plan.

use std::net::IpAddr;

use camino::Utf8PathBuf;

/// Something that the options name is not there, or the machine lacks something.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file or directory is missing.
    #[error("{path}, given with {option}, does not exist")]
    Missing {
        /// The option that names it.
        option: &'static str,
        /// The path in question.
        path: Utf8PathBuf,
    },
    /// The control script cannot make unix sockets.
    #[error(
        "--bind unix:PATH is for start-server, which hands the socket to Apache: a control script cannot; setup-server \
         --systemd makes a unit that runs start-server"
    )]
    UnixWithoutCommand,
    /// A file cannot be read.
    #[error("{path}, given with {option}, cannot be read: {source}")]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The path in question.
        path: Utf8PathBuf,
        /// The reason of the failure.
        source: std::io::Error,
    },
    /// A program is missing.
    #[error("{path}, given with {option}, is not a program that can be run")]
    NoProgram {
        /// The option that names it.
        option: &'static str,
        /// The path in question.
        path: Utf8PathBuf,
    },
    /// There is no such user or group.
    #[error("there is no {kind} {name} on this machine; name another with {option}")]
    NoAccount {
        /// The kind of account: `user` or `group`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The option that names it.
        option: &'static str,
    },
    /// No port is free.
    #[error("no free port can be had: {0}; name one with --port")]
    NoPort(std::io::Error),
    /// `--host` is no name or address.
    #[error(
        "--host {host} does not resolve to an address: it is an address of this machine to listen on; the site's name is for --server-name"
    )]
    UnknownHost {
        /// The name of the host.
        host: String,
    },
    /// `--host` is not of this machine.
    #[error("--host {host} is {address}, which is no address of this machine; the site's name is for --server-name")]
    ForeignHost {
        /// The name of the host.
        host: String,
        /// The address of the host.
        address: IpAddr,
    },
    /// Apache has none of the MPMs asked for.
    #[error("none of the process models {names} is in {directory}; name another with --server-mpm")]
    NoMpm {
        /// The names of the MPMs that were looked for.
        names: String,
        /// The directory that was looked into.
        directory: Utf8PathBuf,
    },
    /// A module of Apache is missing.
    #[error(
        "Apache's module mod_{name} is neither in {directory} nor compiled in; install it, or name another directory with --modules-directory"
    )]
    NoModule {
        /// The name of the module.
        name: String,
        /// The directory that should have it.
        directory: Utf8PathBuf,
    },
    /// HTTP/2 and prefork do not go together.
    #[error("--http2 does not work with --server-mpm prefork")]
    Http2OnPrefork,
    /// The wsgi module itself is missing.
    #[error("the Apache module {0} is missing; install mod_wsgi again")]
    NoWsgiModule(Utf8PathBuf),
    /// `--free-threading` with an interpreter that has the GIL.
    #[error("--free-threading needs a free-threaded Python, and {0} is none")]
    NotFreeThreaded(Utf8PathBuf),
    /// A path is not text.
    #[error("the path {0:?} is not UTF-8, which a configuration file cannot hold")]
    NotText(std::path::PathBuf),
    /// Unix socket names would be too long.
    #[error("--socket-prefix {0} is too long for the names of sockets")]
    LongSocketPrefix(Utf8PathBuf),
    /// The name of the telemetry service's socket is too long.
    #[error(
        "the path of the telemetry service's socket, {0}, is longer than 107 bytes; name another with --telemetry-service, or another --server-root"
    )]
    LongTelemetrySocket(Utf8PathBuf),
    /// Apache cannot be found.
    #[error(transparent)]
    Apache(#[from] apxs::Error),
}
