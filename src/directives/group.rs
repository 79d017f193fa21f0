//! A process group as `WSGIDaemonProcess` defines it.
#![forbid(unsafe_code)]

use wsgi_wire::interface::{Interface, Lifespan};

use crate::httpd::user::User;
use crate::policy::origin::Origin;
use crate::policy::page_origin::AllowedOrigins;

/// One process group, as `WSGIDaemonProcess` defines it.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name of the process group.
    pub name: Vec<u8>,
    /// The place of the directive in the configuration.
    pub origin: Origin,
    /// The options of the process group.
    pub options: GroupOptions,
}

/// The value of `limit-websockets` where it is not given.
pub const LIMIT_WEBSOCKETS: u32 = 10_000;

/// The options of a process group. Times are in seconds, 0 means "none" unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is the option of its name; its meaning is in the user guide")]
pub struct GroupOptions {
    /// How many processes; `None` if not given, which tells applications that there is only one.
    pub processes: Option<u32>,
    pub threads: u32,
    pub interface: Interface,
    /// `loop`: `auto`, `asyncio`, `uvloop`, or `module:function`.
    pub event_loop: Vec<u8>,
    pub lifespan: Lifespan,
    pub limit_concurrency: u32,
    pub disconnect_grace: Option<u32>,
    /// How many WebSockets each process has at the most; `None`: [`LIMIT_WEBSOCKETS`].
    pub limit_websockets: Option<u32>,
    /// The largest message of a client, bytes.
    pub ws_max_size: u64,
    pub ws_max_queue: u32,
    pub ws_ping_interval: u32,
    pub ws_ping_timeout: u32,
    /// `ws-per-message-deflate`: whether messages travel compressed where clients take that.
    pub ws_per_message_deflate: bool,
    /// `ws-origins`: whose pages may open WebSockets.
    pub ws_origins: AllowedOrigins,
    /// The time in which the WebSockets of a process that ends are closed; `None`: `graceful-timeout`.
    pub ws_graceful_timeout: Option<u32>,
    pub user: Option<User>,
    pub group: Option<u32>,
    pub supplementary_groups: Option<Vec<u32>>,
    pub umask: Option<u32>,
    pub chroot: Option<Vec<u8>>,
    pub home: Option<Vec<u8>>,
    pub lang: Option<Vec<u8>>,
    pub locale: Option<Vec<u8>>,
    /// `env`: names and values of environment variables.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    pub env_files: Vec<Vec<u8>>,
    /// `pass-env`: variables of Apache's own environment.
    pub pass_env: Vec<Vec<u8>>,
    /// `no-new-privileges`: no program that a process runs has other rights than the process.
    pub no_new_privileges: bool,
    pub python_home: Option<Vec<u8>>,
    pub python_path: Vec<Vec<u8>>,
    pub python_eggs: Option<Vec<u8>>,
    pub switch_interval: Option<f64>,
    /// `stack-size` in bytes; 0 is the system's own.
    pub stack_size: u64,
    pub display_name: Option<Vec<u8>>,
    pub maximum_requests: u64,
    pub startup_timeout: u32,
    pub shutdown_timeout: u32,
    pub deadlock_timeout: u32,
    pub inactivity_timeout: u32,
    pub request_timeout: u32,
    pub request_timeout_scaling: bool,
    pub interrupt_timeout: u32,
    pub graceful_timeout: u32,
    pub eviction_timeout: u32,
    pub restart_interval: u32,
    pub connect_timeout: u32,
    /// `socket-timeout`; 0 is Apache's `Timeout`.
    pub socket_timeout: u32,
    /// `rss-limit` in bytes.
    pub rss_limit: u64,
    /// `queue-size`; 0 is without limit, `None` a share of what Apache can serve.
    pub queue_size: Option<u32>,
    pub queue_timeout: u32,
    /// `worker-limit`; 0 is without limit, `None` a share of what Apache can serve.
    pub worker_limit: Option<u32>,
    pub socket_user: Option<User>,
    pub listen_backlog: u32,
    /// `send-buffer-size` in bytes; 0 is the system's own.
    pub send_buffer_size: u32,
    /// `receive-buffer-size` in bytes; 0 is the system's own.
    pub receive_buffer_size: u32,
    /// `header-buffer-size`: the longest line of a response head, bytes.
    pub header_buffer_size: u32,
    /// `response-socket-timeout`; 0 leaves the client's socket as it is.
    pub response_socket_timeout: u32,
    /// `response-flush-delay`: milliseconds to wait for more of a response before what is there is sent to the client.
    pub response_flush_delay: u32,
    pub script_user: Option<User>,
    pub script_group: Option<u32>,
    pub cpu_time_limit: u64,
    pub cpu_priority: Option<i32>,
    /// `memory-limit` in bytes.
    pub memory_limit: u64,
    /// `virtual-memory-limit` in bytes.
    pub virtual_memory_limit: u64,
    pub server_metrics: bool,
    pub script_reload: ScriptReload,
}

/// What becomes of requests that come after a script has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScriptReload {
    /// They wait for the new code.
    #[default]
    Wait,
    /// The old code answers until the new one is ready.
    Rolling,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            processes: None,
            threads: 15,
            interface: Interface::Wsgi,
            event_loop: b"auto".to_vec(),
            lifespan: Lifespan::Auto,
            limit_concurrency: 1000,
            disconnect_grace: None,
            limit_websockets: None,
            ws_max_size: 16 << 20,
            ws_max_queue: 32,
            ws_ping_interval: 20,
            ws_ping_timeout: 20,
            ws_per_message_deflate: true,
            ws_origins: AllowedOrigins::Any,
            ws_graceful_timeout: None,
            user: None,
            group: None,
            supplementary_groups: None,
            umask: None,
            chroot: None,
            home: None,
            lang: None,
            locale: None,
            env: Vec::new(),
            env_files: Vec::new(),
            pass_env: Vec::new(),
            no_new_privileges: true,
            python_home: None,
            python_path: Vec::new(),
            python_eggs: None,
            switch_interval: None,
            stack_size: 0,
            display_name: None,
            maximum_requests: 0,
            startup_timeout: 0,
            shutdown_timeout: 5,
            deadlock_timeout: 300,
            inactivity_timeout: 0,
            request_timeout: 0,
            request_timeout_scaling: false,
            interrupt_timeout: 0,
            graceful_timeout: 15,
            eviction_timeout: 0,
            restart_interval: 0,
            connect_timeout: 15,
            socket_timeout: 0,
            rss_limit: 0,
            queue_size: None,
            queue_timeout: 0,
            worker_limit: None,
            socket_user: None,
            listen_backlog: 100,
            send_buffer_size: 0,
            receive_buffer_size: 0,
            header_buffer_size: 32768,
            response_socket_timeout: 0,
            response_flush_delay: 0,
            script_user: None,
            script_group: None,
            cpu_time_limit: 0,
            cpu_priority: None,
            memory_limit: 0,
            virtual_memory_limit: 0,
            server_metrics: false,
            script_reload: ScriptReload::Wait,
        }
    }
}
