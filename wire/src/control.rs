//! The messages on the control sockets: Apache parent → supervisor → daemon, and back.

use crate::codec::{Bytes, byte_enum, message};
use crate::interface::Interface;
use crate::record::{Format, Level};
use crate::settings::Daemon;

/// The exit code by which a daemon process says that it could not begin to serve, having told why: the supervisor waits
/// before it tries again.
pub const FAILED_AT_START: i32 = 3;

message! {
    /// The whole configuration, sent at each start and graceful restart. Every process of every group is replaced.
    ///
    /// The frame's first bytes carry descriptors (SCM_RIGHTS): the main server's error log, for what cannot be said
    /// otherwise, both ends of the socket for all other records ([`crate::report::GroupRecord`]), with `export` both
    /// ends of the socket for that, then the pages of each group ([`crate::table`]). The system takes
    /// [`crate::limits::PASSED`] of them with one byte.
    pub struct Configure {
        /// The number of this configuration, counted by the Apache parent.
        pub generation: u32,
        /// The level up to which the supervisor itself logs.
        pub log_level: Level,
        /// `WSGILogFormat` of the main server.
        pub log_format: Format,
        /// The `ServerName` of the main server.
        pub vhost: Bytes,
        /// `WSGISocketPrefix`, an absolute path.
        pub socket_prefix: String,
        /// The Apache parent's pid: part of the sockets' names.
        pub parent: u32,
        /// The uid and gid of the Apache children, who connect to the daemons. `None` if Apache does not run as root,
        /// then nothing is changed.
        pub children: Option<(u32, u32)>,
        /// The value of `WSGIOpenTelemetry`.
        pub export: Option<Export>,
        /// All process groups.
        pub groups: Vec<Group>,
    }
}

message! {
    /// The settings of `WSGIOpenTelemetry`.
    pub struct Export {
        /// The collector: host and port, as they stand in a URL.
        pub authority: String,
        /// The path in front of `/v1/…`; empty or with a slash at its front, none at its end.
        pub path: String,
        /// Seconds from one report of the metrics to the next.
        pub interval: u32,
        /// Attributes of the resource, `service.name` among them.
        pub resource: Vec<(String, String)>,
    }
}

message! {
    /// One process group, as `WSGIDaemonProcess` defines it.
    pub struct Group {
        /// How many processes.
        pub processes: u32,
        /// The way in which a process of the group is spawned.
        pub spawn: Spawn,
        /// The settings of its engine. The supervisor fills in [`Daemon::slot`] and [`Daemon::generation`].
        pub daemon: Daemon,
    }
}

message! {
    /// The settings for spawning a daemon process: everything that is done before its interpreter starts.
    pub struct Spawn {
        /// The user that it runs as; `None` if Apache does not run as root.
        pub identity: Option<Identity>,
        /// The value of `chroot`.
        pub chroot: Option<Bytes>,
        /// `home`: the working directory.
        pub home: Option<Bytes>,
        /// The value of `umask`.
        pub umask: Option<u32>,
        /// The value of `cpu-priority`.
        pub nice: Option<i32>,
        /// Resource limits: number (`RLIMIT_…`), soft, hard.
        pub limits: Vec<Limit>,
        /// Environment variables that are set before Python starts (`LANG`, `LC_ALL`, `env=`).
        pub env: Vec<(Bytes, Bytes)>,
        /// `pass-env`: variables of Apache's own environment that the process gets; `*` is all of them. Others it does
        /// not get, but PATH, LANG and TZ.
        pub pass_env: Vec<Bytes>,
        /// `no-new-privileges=Off`: programs that the process runs may have other rights than itself (set-user-id,
        /// set-group-id).
        pub new_privileges: bool,
        /// The value of `env-file`: files with more of these variables, which the supervisor reads for each process.
        pub env_files: Vec<Bytes>,
        /// `python-home` or `WSGIPythonHome`: a virtual environment or an installation prefix. `None`: `python3` on
        /// PATH.
        pub python_home: Option<Bytes>,
        /// The directive or option that gave `python_home`, for messages.
        pub python_home_from: String,
        /// Flags for the interpreter, such as `-B`, `-O`, `-W error`.
        pub python_flags: Vec<Bytes>,
        /// The directory that holds the Python package beside the Apache module, to import `mod_wsgi` from if the
        /// interpreter has no installation of it.
        pub package: Option<Bytes>,
        /// The owner of the socket; `None` if Apache does not run as root.
        pub socket_user: Option<u32>,
        /// The value of `listen-backlog`.
        pub backlog: u32,
        /// `send-buffer-size`, bytes; 0 leaves it to the system.
        pub send_buffer: u32,
        /// `receive-buffer-size`, bytes; 0 leaves it to the system.
        pub receive_buffer: u32,
    }
}

message! {
    /// The user and groups of a daemon process.
    pub struct Identity {
        /// The user id, never 0.
        pub uid: u32,
        /// The group id.
        pub gid: u32,
        /// The user's name, for `initgroups`; empty if the uid has none.
        pub name: Bytes,
        /// `supplementary-groups`; `None` means those of the user.
        pub groups: Option<Vec<u32>>,
        /// The user's home directory, for `HOME`.
        pub home: Option<Bytes>,
    }
}

message! {
    /// A resource limit.
    pub struct Limit {
        /// The resource that is limited.
        pub resource: Resource,
        /// The soft limit.
        pub soft: u64,
        /// The hard limit.
        pub hard: u64,
    }
}

byte_enum! {
    /// The resources that options of `WSGIDaemonProcess` limit.
    pub enum Resource {
        /// `cpu-time-limit`: RLIMIT_CPU, seconds.
        Cpu = 0,
        /// `memory-limit`: RLIMIT_DATA, bytes.
        Data = 1,
        /// `virtual-memory-limit`: RLIMIT_AS, bytes.
        AddressSpace = 2,
    }
}

byte_enum! {
    /// Why a process ends. The names are those of `shutdown_reason` in the `process_stopping` event.
    pub enum Reason {
        /// The process got SIGTERM or SIGINT, or the server stops.
        ShutdownSignal = 0,
        /// The process got SIGUSR1, or Apache restarts gracefully.
        GracefulSignal = 1,
        /// The process got SIGUSR1 where `eviction-timeout` is set.
        EvictionSignal = 2,
        /// The process has reached `maximum-requests`.
        MaximumRequests = 3,
        /// The process has reached `restart-interval`.
        RestartInterval = 4,
        /// The process has exceeded `inactivity-timeout`.
        InactivityTimeout = 5,
        /// A request has exceeded `request-timeout`.
        RequestTimeout = 6,
        /// The process has exceeded `startup-timeout`.
        StartupTimeout = 7,
        /// The process has exceeded `deadlock-timeout`.
        DeadlockTimeout = 8,
        /// The process has exceeded `cpu-time-limit`.
        CpuTimeLimit = 9,
        /// A script has changed.
        ScriptReload = 10,
        /// The supervisor is gone.
        SupervisorGone = 11,
        /// The process has exceeded `rss-limit`.
        RssLimit = 12,
        /// The process can accept no connections for want of descriptors or memory.
        Exhausted = 13,
        /// The event loop has not gone round for `deadlock-timeout`.
        StuckLoop = 14,
    }
}

impl Reason {
    /// The name of the reason that applications see.
    pub fn name(self) -> &'static str {
        match self {
            Reason::ShutdownSignal => "shutdown_signal",
            Reason::GracefulSignal => "graceful_signal",
            Reason::EvictionSignal => "eviction_signal",
            Reason::MaximumRequests => "maximum_requests",
            Reason::RestartInterval => "restart_interval",
            Reason::InactivityTimeout => "inactivity_timeout",
            Reason::RequestTimeout => "request_timeout",
            Reason::StartupTimeout => "startup_timeout",
            Reason::DeadlockTimeout => "deadlock_timeout",
            Reason::CpuTimeLimit => "cpu_time_limit",
            Reason::ScriptReload => "script_reload",
            Reason::SupervisorGone => "supervisor_gone",
            Reason::RssLimit => "rss_limit",
            Reason::Exhausted => "exhausted",
            Reason::StuckLoop => "stuck_loop",
        }
    }

    /// Whether a process that ends for this reason deserves a record of what it was doing: it was stuck, or used too
    /// much.
    pub fn is_incident(self) -> bool {
        use Reason::{CpuTimeLimit, DeadlockTimeout, RequestTimeout, RssLimit, StartupTimeout, StuckLoop};
        matches!(self, RequestTimeout | StartupTimeout | DeadlockTimeout | StuckLoop | CpuTimeLimit | RssLimit)
    }
}

message! {
    /// Supervisor → daemon: take no more requests, finish, end.
    pub struct Drain {
        /// The reason that the application is told.
        pub reason: Reason,
        /// Whether `graceful-timeout` is for requests without progress only: those that send or receive may go on, as
        /// they may in Apache's old children.
        pub patient: bool,
    }
}

message! {
    /// Daemon → supervisor: scripts are loaded, requests are welcome.
    pub struct Ready {
        /// The digests of the reports in the log about scripts that could not be imported. With some, the supervisor
        /// may prefer the process that serves.
        pub failures: Vec<u64>,
        /// What it speaks, which is never [`Interface::Auto`].
        pub interface: Interface,
    }
}

message! {
    /// Daemon → supervisor: this process asks to be replaced. It serves until it is told to drain, which is when its
    /// successor is ready.
    pub struct Retiring {
        /// Why the process is replaced or drained.
        pub reason: Reason,
        /// Whether it takes no more requests, because they need code that it does not have, until it is told that no
        /// process has it.
        pub holds: bool,
    }
}

message! {
    /// Daemon → supervisor: this process is on its way out; its successor should start now.
    pub struct Draining {
        /// Why the process is replaced or drained.
        pub reason: Reason,
    }
}

message! {
    /// Administrator → supervisor: replace the processes of a group, one after the other.
    pub struct Restart {
        /// The name of the group; `None` is all groups.
        pub group: Option<Bytes>,
    }
}

message! {
    /// Supervisor → administrator: the end of a [`Restart`].
    pub struct Restarted {
        /// Name of the group.
        pub group: Bytes,
        /// How the restart has ended.
        pub outcome: Outcome,
    }
}

byte_enum! {
    /// The end of a group's restart.
    pub enum Outcome {
        /// New processes serve.
        Replaced = 0,
        /// The application cannot be loaded; processes that were there before serve on, if there were any.
        Failed = 1,
        /// There is no such group.
        Unknown = 2,
    }
}
