//! Processes, threads, time limits and buffers.

use clap::{Args, ValueEnum, value_parser};

/// Apache's process models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mpm {
    /// Threads, with idle connections parked.
    Event,
    /// Threads, one for each connection.
    Worker,
    /// Processes.
    Prefork,
}

/// A part of a whole: 0 to 1.
fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(f) if (0.0..=1.0).contains(&f) => Ok(f),
        _ => Err("it is a part of the capacity: 0 to 1, such as 0.25".to_owned()),
    }
}

/// Options of processes and threads.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Processes and threads")]
pub struct Capacity {
    /// Processes of the application; also -w and --workers
    #[arg(long, short = 'w', value_name = "N", value_parser = value_parser!(u32).range(1..=512))]
    pub processes: Option<u32>,
    /// Threads of each process (ASGI: 15)
    #[arg(long, value_name = "N", default_value_t = 5, default_value_if("interface", "asgi", "15"), value_parser = value_parser!(u32).range(1..65534))]
    pub threads: u32,
    /// Connections that Apache handles at one time
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub max_clients: Option<u32>,
    /// Part of Apache's workers that is started at once
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub initial_workers: Option<f64>,
    /// Part of Apache's workers that is kept idle at least
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub minimum_spare_workers: Option<f64>,
    /// Part of Apache's workers that is kept idle at the most
    #[arg(long, value_name = "FRACTION", value_parser = fraction)]
    pub maximum_spare_workers: Option<f64>,
    /// Apache's process model; may be repeated, the best of those installed is taken
    #[arg(long, value_name = "NAME", value_enum)]
    pub server_mpm: Vec<Mpm>,
    /// Replace a process after this many requests; 0 for never
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub maximum_requests: u32,
}

/// Options of time limits, in seconds unless they say otherwise.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Time limits (seconds; 0 for none)")]
pub struct Timeouts {
    /// Replace a process when it is this old
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub restart_interval: u32,
    /// Replace a process when it has used this much processor time
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub cpu_time_limit: u32,
    /// For the application to be loaded
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub startup_timeout: u32,
    /// For a process to end
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub shutdown_timeout: u32,
    /// For the requests of a process that is to be replaced
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub graceful_timeout: u32,
    /// The same, when a signal asks for it; 0 for --graceful-timeout
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub eviction_timeout: u32,
    /// For which Python may make no progress at all
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub deadlock_timeout: u32,
    /// Replace a process when nobody has asked it for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub inactivity_timeout: u32,
    /// URL whose requests do not count for --inactivity-timeout; may be repeated
    #[arg(long, value_name = "URL")]
    pub ignore_activity: Vec<String>,
    /// For one request (ASGI: none)
    #[arg(long, value_name = "SECONDS", default_value_t = 60, default_value_if("interface", "asgi", "0"))]
    pub request_timeout: u32,
    /// For a request to end after it was interrupted at --request-timeout
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub interrupt_timeout: u32,
    /// To connect to the application
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub connect_timeout: u32,
    /// For a request to wait for a thread
    #[arg(long, value_name = "SECONDS", default_value_t = 45)]
    pub queue_timeout: u32,
    /// For one read or write
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub socket_timeout: u32,
    /// For one write to a client; 0 for --socket-timeout
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub response_socket_timeout: u32,
    /// Milliseconds to wait for more of a response before it is sent on
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5)]
    pub response_flush_delay: u32,
    /// For a connection that waits for another request
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub keep_alive_timeout: u32,
    /// For the headers of a request
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub header_timeout: u32,
    /// For the headers of a request, if they keep coming
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub header_max_timeout: u32,
    /// Bytes of headers that are worth a second more
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    pub header_min_rate: u32,
    /// For the body of a request
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub body_timeout: u32,
    /// For the body of a request, if it keeps coming
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub body_max_timeout: u32,
    /// Bytes of a body that are worth a second more
    #[arg(long, value_name = "BYTES", default_value_t = 500)]
    pub body_min_rate: u32,
}

/// Options of queues and buffers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queues and buffers")]
pub struct Transfer {
    /// Connections that may wait for Apache
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = value_parser!(u32).range(1..))]
    pub server_backlog: u32,
    /// Connections that may wait for the application
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub daemon_backlog: u32,
    /// Send buffer to the application; 0 leaves it to the system
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub send_buffer_size: u32,
    /// Receive buffer from the application; 0 leaves it to the system
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub receive_buffer_size: u32,
    /// Longest header line of a response; 0 for the usual one
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub header_buffer_size: u32,
    /// Bytes of a response that may wait for a slow client; 0 for the usual number
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub response_buffer_size: u32,
    /// Let the system copy files to clients
    #[arg(long)]
    pub enable_sendfile: bool,
    /// Compress text
    #[arg(long)]
    pub compress_responses: bool,
}
