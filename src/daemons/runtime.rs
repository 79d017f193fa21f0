//! The process groups of the configuration in force, as the parent starts them and the children use them.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wsgi_websocket::session::Settings;
use wsgi_wire::budget::Rate;
use wsgi_wire::interface::Interface;
use wsgi_wire::table::{self, Places};

use crate::directives;
use crate::directives::configuration::Configuration;
use crate::directives::group::LIMIT_WEBSOCKETS;
use crate::embedded::Plan;
use crate::httpd::records::Socket;
use crate::httpd::shared::SharedTable;
use crate::httpd::shared::pages::Pages;
use crate::httpd::shared::scoreboard::SharedScoreboard;
use crate::policy::observed_variables::ObservedVariables;
use crate::policy::origin::Origin;
use crate::policy::owner::Policy;
use crate::policy::page_origin::AllowedOrigins;
use crate::policy::trace::Sampling;
use crate::relay::admission::Workers;
use crate::relay::group;
use crate::relay::wait_limits::WaitLimits;

/// What a child needs to know of one process group.
#[derive(Debug)]
pub struct Group {
    /// What the relay needs to know of it.
    pub relay: group::Group,
    /// The pages of its processes.
    pub pages: Pages,
    /// How many processes it has.
    pub processes: u32,
    /// How many requests each of them takes at a time: of WSGI, its threads, and of ASGI.
    pub concurrency: (u32, u32),
    /// The option `interface`.
    pub interface: Interface,
    /// The server that it was defined in.
    pub origin: Origin,
    /// The configuration that it belongs to, by its number.
    pub generation: u32,
    /// `worker-limit`: how many of Apache's workers may have a request of the group in hand.
    pub workers: Workers,
    /// `ws-origins`: whose pages may open WebSockets.
    pub origins: AllowedOrigins,
    /// `header-buffer-size`: the longest line of a response head, bytes.
    pub header_limit: usize,
    /// `response-socket-timeout`, where given.
    pub response_timeout: Option<Duration>,
    /// `chroot`, without a slash at the end.
    pub chroot: Option<Vec<u8>>,
    /// The value of `server-metrics`.
    pub server_metrics: bool,
    /// The owner that `script-user` or `script-group` asks of scripts.
    pub owner: Option<Policy>,
}

impl Group {
    /// What its processes speak; `None` as long as that is for the first of them to say.
    pub fn speaks(&self) -> Option<Interface> {
        match self.interface {
            Interface::Auto => self.relay.record.interface(),
            given => Some(given),
        }
    }

    /// How many requests each of its processes takes at a time.
    pub fn requests_each(&self) -> u32 {
        let (threads, concurrency) = self.concurrency;
        if self.speaks() == Some(Interface::Asgi) { concurrency } else { threads }
    }

    /// How many requests its processes take at a time, all together.
    pub fn thread_count(&self) -> u32 {
        self.processes.saturating_mul(self.requests_each())
    }

    /// Whether one slow request keeps all others waiting.
    pub fn has_one_thread(&self) -> bool {
        self.thread_count() <= 1
    }

    /// How many requests whose bodies are not all there may have a thread at a time: a fourth of the threads, or one at
    /// least, is for others. A group that has but one thread gives it to whoever has sent as much as is read ahead, or
    /// pauses for long while it is idle.
    pub fn upload_limit(&self) -> u32 {
        let threads = self.thread_count();
        threads.saturating_sub((threads / 4).max(1)).max(1)
    }

    /// Whether a request whose client pauses in its body may take a thread now.
    pub fn has_room_for_upload(&self) -> bool {
        self.uploads().taken() < self.upload_limit()
    }

    /// Apache's workers that have a request of the group in hand.
    pub fn workers_taken(&self) -> &'static Places {
        self.relay.record.workers.of(self.generation)
    }

    /// Requests whose bodies are not all there and that have a thread, or may be given one.
    pub fn uploads(&self) -> &'static Places {
        self.relay.record.uploads.of(self.generation)
    }
}

/// The configuration in force.
#[derive(Debug)]
pub struct Runtime {
    /// Process groups by name.
    pub groups: HashMap<Vec<u8>, Group>,
    /// The process table; `None` where there are no groups.
    pub table: Option<SharedTable>,
    /// Where daemons read Apache's scoreboard.
    pub scoreboard: Option<SharedScoreboard>,
    /// Where the supervisor's records come in; `None` where there are no groups.
    pub records: Option<Socket>,
    /// Where spans of requests go that somebody is told about, and which those are; `None` without `WSGIOpenTelemetry`.
    pub spans: Option<(Socket, Sampling)>,
    /// Counts the configurations of this Apache.
    pub generation: u32,
    /// The addresses of the processes' sockets, and the connections to them.
    pub sockets: group::Sockets,
    /// The settings for Python in an Apache child, for requests without a process group; `None` where
    /// `WSGIRestrictEmbedded` forbids it.
    pub embedded: Option<Plan>,
    /// The value of `WSGICaseSensitivity`.
    pub case_sensitive: bool,
    /// The value of `WSGILinger`.
    pub lingers: bool,
    /// How many WebSockets all children together may have that hold no thread; `None` where each of them holds one.
    pub suspended: Option<u32>,
    /// Which variables of requests other modules look at.
    pub observed_variables: ObservedVariables,
    /// Whether `AuthnCacheProvideFor wsgi` lets mod_authn_socache remember passwords that a script has found right.
    pub caches_passwords: bool,
}

impl Runtime {
    /// Whether a group has `server-metrics`.
    pub fn has_metrics(&self) -> bool {
        self.groups.values().any(|group| group.server_metrics)
    }

    /// Whether there is a later configuration.
    pub fn is_outdated(&self) -> bool {
        self.table.is_some_and(|table| table.header().generation.load(Ordering::Acquire) != self.generation)
    }
}

/// How many requests of a group may wait where `queue-size` is not given: a fourth of Apache's workers is left for
/// everything else, but a burst that a small server can take is not refused.
fn default_queue_size(workers: u32) -> u32 {
    (workers / 4 * 3).max(100)
}

/// What children need to know of the groups. `places` are their records and pages, in order, `timeout` is Apache's
/// `Timeout`, `workers` how many requests it serves at a time, `generation` the configuration's number.
pub fn groups(
    configuration: &Configuration,
    generation: u32,
    places: &[(&'static table::Group, Pages)],
    timeout: Duration,
    workers: u32,
) -> HashMap<Vec<u8>, Group> {
    let seconds = |n: u32| Duration::from_secs(n.into());
    let relay = |g: &directives::group::Group, record| {
        let o = &g.options;
        group::Group {
            key: table::group_key(&g.name),
            record,
            wait_limits: WaitLimits {
                connect: seconds(o.connect_timeout),
                queue: (o.queue_timeout > 0).then(|| seconds(o.queue_timeout)),
                silence: if o.socket_timeout == 0 { timeout } else { seconds(o.socket_timeout) },
            },
            queue_size: match o.queue_size {
                Some(0) => u32::MAX,
                Some(size) => size,
                None => default_queue_size(workers),
            },
            flush_delay: Duration::from_millis(o.response_flush_delay.into()),
            buffers: (o.send_buffer_size, o.receive_buffer_size),
            log: Rate::of_log(o.processes.unwrap_or(1)),
            websocket_limit: o.limit_websockets.unwrap_or(LIMIT_WEBSOCKETS),
            websocket: Settings {
                max_size: usize::try_from(o.ws_max_size).unwrap_or(usize::MAX),
                ping_interval: (o.ws_ping_interval > 0).then(|| seconds(o.ws_ping_interval)),
                ping_timeout: (o.ws_ping_timeout > 0).then(|| seconds(o.ws_ping_timeout)),
                is_deflate: o.ws_per_message_deflate,
            },
        }
    };
    let group = |g: &directives::group::Group, (record, pages)| {
        let o = &g.options;
        Group {
            relay: relay(g, record),
            pages,
            processes: o.processes.unwrap_or(1),
            concurrency: (o.threads, o.limit_concurrency),
            interface: o.interface,
            origin: g.origin.clone(),
            generation,
            workers: o
                .worker_limit
                .map_or_else(|| Workers::by_default(workers, configuration.groups.len()), Workers::given),
            origins: o.ws_origins.clone(),
            header_limit: o.header_buffer_size as usize,
            response_timeout: (o.response_socket_timeout > 0).then(|| seconds(o.response_socket_timeout)),
            chroot: o.chroot.clone(),
            server_metrics: o.server_metrics,
            owner: o.script_user.as_ref().map(|u| Policy::User(u.uid)).or(o.script_group.map(Policy::Group)),
        }
    };
    configuration.groups.iter().zip(places).map(|(g, place)| (g.name.clone(), group(g, *place))).collect()
}
