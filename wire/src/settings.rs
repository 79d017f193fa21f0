//! The settings that an engine gets when its process starts.

use crate::codec::{Bytes, message};
use crate::interface::{Interface, Lifespan};
use crate::record::{Format, Level};

message! {
    /// The settings of one daemon process. Times are in seconds, 0 means "no limit" unless said otherwise.
    #[derive(Default)]
    pub struct Daemon {
        /// The name of the process group.
        pub group: Bytes,
        /// Its slot in the process table.
        pub slot: u32,
        /// The secret that an Apache child must begin a connection with.
        pub secret: u64,
        /// The number of the configuration that it belongs to.
        pub generation: u32,
        /// The Apache parent's pid: when it and the supervisor are gone, nobody needs the process.
        pub apache: u32,
        /// The value of `processes`.
        pub processes: u32,
        /// Whether `processes` was given: then `wsgi.multiprocess` is true, even for 1.
        pub multiprocess: bool,
        /// `threads`; 0 makes it a service process that only runs its scripts.
        pub threads: u32,
        /// The option `interface`.
        pub interface: Interface,
        /// `loop`: `auto`, `asyncio`, `uvloop`, or `module:function`.
        pub event_loop: Bytes,
        /// The option `lifespan`.
        pub lifespan: Lifespan,
        /// `limit-concurrency`: how many requests of ASGI a process has at a time.
        pub limit_concurrency: u32,
        /// `disconnect-grace`: how long a request goes on whose client is gone; `None`: as long as it likes.
        pub disconnect_grace: Option<u32>,
        /// `ws-max-size`: the largest message that a client may send on a WebSocket, bytes.
        pub ws_max_size: u64,
        /// `ws-max-queue`: how many messages wait for the application before no more are received.
        pub ws_max_queue: u32,
        /// `ws-graceful-timeout`: the time in which all WebSockets are closed when the process is to end.
        pub ws_graceful_timeout: u32,
        /// `stack-size` of the worker threads in bytes; 0 leaves it to the system.
        pub stack_size: u64,
        /// The value of `display-name` with `%{GROUP}` filled in.
        pub display_name: Option<Bytes>,
        /// `home`: stands first on `sys.path`.
        pub home: Option<Bytes>,
        /// `python-path`: added through `site.addsitedir`, in front.
        pub python_path: Vec<Bytes>,
        /// `python-eggs`, for the variable PYTHON_EGG_CACHE.
        pub python_eggs: Option<Bytes>,
        /// `switch-interval`; 0 leaves it alone.
        pub switch_interval: f64,
        /// Scripts that are loaded before the process is ready, in this order.
        pub scripts: Vec<Preload>,
        /// Scripts that requests have made other processes of the group load: these are loaded, too, as far as they
        /// still exist.
        pub inherited: Vec<Preload>,
        /// The scripts, and directories of scripts, that requests of this group may lead to, as far as the
        /// configuration says it ([`Daemon::allows`]). `None`: any file may become a script of it.
        pub allowed: Option<Vec<Bytes>>,
        /// Digests of reports about scripts that cannot be imported ([`crate::control::Ready`]) which the log has
        /// already.
        pub known_failures: Vec<u64>,
        /// `script-reload=rolling`: a process whose script has changed serves until its successor is ready.
        pub rolling_reload: bool,
        /// The value of `maximum-requests`.
        pub maximum_requests: u64,
        /// The value of `startup-timeout`.
        pub startup_timeout: u32,
        /// The value of `shutdown-timeout`.
        pub shutdown_timeout: u32,
        /// The value of `deadlock-timeout`.
        pub deadlock_timeout: u32,
        /// The value of `inactivity-timeout`.
        pub inactivity_timeout: u32,
        /// The value of `request-timeout`.
        pub request_timeout: u32,
        /// `request-timeout-scaling`: `request-timeout` grows with the number of threads.
        pub request_timeout_scaling: bool,
        /// The value of `interrupt-timeout`.
        pub interrupt_timeout: u32,
        /// The value of `graceful-timeout`.
        pub graceful_timeout: u32,
        /// The value of `eviction-timeout`.
        pub eviction_timeout: u32,
        /// The value of `restart-interval`.
        pub restart_interval: u32,
        /// `rss-limit`, in bytes.
        pub rss_limit: u64,
        /// The value of `queue-timeout`.
        pub queue_timeout: u32,
        /// `socket-timeout`: how long a read or write on a connection may take.
        pub socket_timeout: u32,
        /// The value of `server-metrics`.
        pub server_metrics: bool,
        /// The value of `WSGITelemetryService`.
        pub telemetry: Option<Telemetry>,
        /// `WSGISlowRequests`: seconds from which on a request is slow; 0: none is.
        pub slow_requests: f64,
        /// Options of all interpreters; one with a more specific selector comes later and wins.
        pub interpreters: Vec<Interpreter>,
        /// Whether the group serves one application, which then runs in the main interpreter whatever its application
        /// group is called.
        pub single_application: bool,
        /// How many interpreters the process may have, the main one included ([`crate::limits::INTERPRETERS`]).
        pub interpreter_limit: u32,
        /// The value of `WSGIFreeThreading`.
        pub free_threading: bool,
        /// The value of `WSGIDestroyInterpreter`.
        pub destroy_interpreter: bool,
        /// The value of `WSGICaseSensitivity`.
        pub case_sensitive: bool,
        /// The uid of the Apache children, or `socket-user`, which alone (with root and the daemon's own user) may
        /// connect; `None`: processes with the daemon's own uid may.
        pub children: Option<u32>,
        /// The level up to which records are written.
        pub log_level: Level,
        /// `WSGILogFormat` of the virtual host that the group is defined in.
        pub log_format: Format,
        /// The `ServerName` of that virtual host.
        pub vhost: Bytes,
        /// The facts that `apache` and `mod_wsgi` tell about the server.
        pub server: Server,
    }
}

impl Daemon {
    /// How many requests a process takes at a time that speaks this.
    pub fn concurrency(&self, interface: Interface) -> u32 {
        if interface == Interface::Asgi { self.limit_concurrency } else { self.threads }
    }

    /// Whether the configuration lets the group run this script.
    pub fn allows(&self, script: &[u8]) -> bool {
        let is_imported = || self.scripts.iter().any(|preload| *preload.script == *script);
        self.allowed.as_ref().is_none_or(|places| leads_to(places, script) || is_imported())
    }
}

/// Whether a script is one of these, is in one of these directories, or has such a name and an extension (as content
/// negotiation finds it).
fn leads_to(places: &[Bytes], script: &[u8]) -> bool {
    let is_at =
        |place: &Bytes| script.strip_prefix(&place[..]).is_some_and(|rest| matches!(rest, [] | [b'/' | b'.', ..]));
    // Nobody names a script by a way back: Apache has walked it.
    let is_straight = !script.split(|byte| *byte == b'/').any(|part| part == b"..");
    is_straight && places.iter().any(is_at)
}

message! {
    /// The service to which a process reports what requests cost.
    pub struct Telemetry {
        /// The path of the service's datagram socket.
        pub socket: Bytes,
        /// Seconds between two reports.
        pub interval: f64,
        /// Whether reports of slow requests have the client's `User-Agent`.
        pub user_agent: bool,
    }
}

message! {
    /// A script to load at start.
    pub struct Preload {
        /// The file of the script.
        pub script: Bytes,
        /// The application group to load it into; empty is the main interpreter.
        pub application_group: Bytes,
        /// The name of the application in it, empty for `WSGIImportScript`, which needs none.
        pub callable: Bytes,
    }
}

message! {
    /// One layer of `<WSGIInterpreterOptions>`, or the top-level directives. `None` leaves the layer below.
    pub struct Interpreter {
        /// The application group it is for; `None`: all.
        pub application_group: Option<Bytes>,
        /// `WSGIPythonPath` in the section.
        pub python_path: Vec<Bytes>,
        /// The value of `WSGIRestrictStdin`.
        pub restrict_stdin: Option<bool>,
        /// The value of `WSGIRestrictStdout`.
        pub restrict_stdout: Option<bool>,
        /// The value of `WSGIRestrictSignal`.
        pub restrict_signal: Option<bool>,
        /// The value of `WSGISwitchInterval`.
        pub switch_interval: Option<f64>,
        /// The value of `WSGIPerInterpreterGIL`.
        pub own_gil: Option<bool>,
    }
}

message! {
    /// Facts about the Apache that this process belongs to.
    #[derive(Default)]
    pub struct Server {
        /// The version of the httpd headers.
        pub version: (u32, (u32, u32)),
        /// The server's banner.
        pub description: String,
        /// The name of the MPM.
        pub mpm: String,
        /// When httpd was built.
        pub built: String,
        /// How many child processes the MPM may have.
        pub maximum_processes: u32,
        /// How many threads an Apache child has.
        pub threads_per_process: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_allowed_where_the_configuration_leads() {
        let places = ["/srv/shop/app.wsgi", "/srv/tools"].map(Bytes::from);
        for script in ["/srv/shop/app.wsgi", "/srv/tools/one.wsgi", "/srv/tools/a/b.py", "/srv/tools.wsgi"] {
            assert!(leads_to(&places, script.as_bytes()), "{script}");
        }
        for script in ["/srv/shop/other.wsgi", "/srv/toolsmith.py", "/srv/tools/../shop/x", "/tmp/payload.py", "", "/"]
        {
            assert!(!leads_to(&places, script.as_bytes()), "{script}");
        }
        assert!(!leads_to(&[], b"/srv/shop/app.wsgi"));
    }
}
