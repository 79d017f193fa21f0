//! The interface between server and application, and what asynchronous applications have besides.

use clap::{Args, ValueEnum, value_parser};

/// The interface between server and application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Interface {
    /// The application itself shows which it is.
    Auto,
    /// WSGI (PEP 3333).
    Wsgi,
    /// ASGI 3.
    Asgi,
}

impl Interface {
    /// As it is written on the command line and in `WSGIDaemonProcess`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Wsgi => "wsgi",
            Self::Asgi => "asgi",
        }
    }
}

/// Whether applications are told of the start and the end of their process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lifespan {
    /// They are told, if they listen.
    #[default]
    Auto,
    /// One that does not listen is not served.
    On,
    /// They are not.
    Off,
}

impl Lifespan {
    /// As it is written on the command line and in `WSGIDaemonProcess`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// Whether messages of WebSockets are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Deflate {
    /// They are, where the client takes that.
    #[default]
    #[value(alias = "true")]
    On,
    /// They are not.
    #[value(alias = "false")]
    Off,
}

impl Deflate {
    /// As it is written in `WSGIDaemonProcess`.
    fn name(self) -> &'static str {
        match self {
            Self::On => "On",
            Self::Off => "Off",
        }
    }
}

/// The largest `--ws-max-size`, bytes, as of the directive.
const LONGEST_MESSAGE: u64 = 1 << 30;

/// The size of a message, as the directive takes it: a number of bytes, with K, M or G behind it.
fn message_size(text: &str) -> Result<String, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    match number.and_then(|number| number.checked_mul(unit)) {
        Some(1..=LONGEST_MESSAGE) => Ok(text.to_owned()),
        _ => Err("it is a size from 1 byte to 1G, such as 65536, 512K or 16M".to_owned()),
    }
}

/// Origins of pages: a word, or such as a browser sends them, which have no path.
fn origins(text: &str) -> Result<String, String> {
    let is_origin = |item: &str| {
        let parts = item.trim().split_once("://");
        parts.is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'))
    };
    if ["any", "same"].contains(&text) || text.split(',').all(is_origin) {
        return Ok(text.to_owned());
    }
    Err("it is any, same, or origins with commas between, such as https://example.com,http://localhost:8000".to_owned())
}

/// Options of ASGI.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Asynchronous applications (ASGI)")]
pub struct Asgi {
    /// What the application speaks; auto, that of MODULE:CALLABLE: its callable is asynchronous, or it is not
    #[arg(long, alias = "application-interface", value_name = "NAME", value_enum)]
    pub interface: Option<Interface>,
    /// Event loop: auto (uvloop where it is installed), asyncio, uvloop, or a function that makes one, MODULE:FUNCTION
    #[arg(long = "loop", value_name = "NAME", default_value = "auto")]
    pub event_loop: String,
    /// Whether the application is told when its process starts and ends
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub lifespan: Lifespan,
    /// Requests that a process has at a time [default: 1000]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub limit_concurrency: Option<u32>,
    /// WebSockets that a process has at a time [default: 10000]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub limit_websockets: Option<u32>,
    /// Seconds after which the request of a client that is gone is cancelled [default: it goes on]
    #[arg(long, value_name = "SECONDS")]
    pub disconnect_grace: Option<u32>,
    /// The largest message of a WebSocket's client, bytes, with K, M or G [default: 16M]
    #[arg(long, value_name = "SIZE", value_parser = message_size)]
    pub ws_max_size: Option<String>,
    /// Messages of a WebSocket that wait for the application; then its client has to wait [default: 32]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=65_536))]
    pub ws_max_queue: Option<u32>,
    /// Seconds of silence after which a WebSocket's client is sent a ping; 0 for never [default: 20]
    #[arg(long, value_name = "SECONDS")]
    pub ws_ping_interval: Option<u32>,
    /// Seconds that it has to send anything then; 0 for as long as its connection lasts [default: 20]
    #[arg(long, value_name = "SECONDS")]
    pub ws_ping_timeout: Option<u32>,
    /// Whether messages of WebSockets travel compressed, where the client takes that
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, ignore_case = true)]
    pub ws_per_message_deflate: Deflate,
    /// Whose pages may open WebSockets: any, same (those of this site), or origins with commas between
    #[arg(long, value_name = "ORIGINS", default_value = "any", value_parser = origins)]
    pub ws_origins: String,
    /// Seconds over which a process that is to end spreads the closes of its WebSockets [default: --graceful-timeout]
    #[arg(long, value_name = "SECONDS")]
    pub ws_graceful_timeout: Option<u32>,
}

impl Asgi {
    /// The options that only asynchronous applications have, with their values, as far as they are given.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, String)> {
        let number = |given: Option<u32>| given.map(|number| number.to_string());
        let is_given = |name: &str, usual: &str| (name != usual).then(|| name.to_owned());
        let options = [
            ("loop", is_given(&self.event_loop, "auto")),
            ("lifespan", is_given(self.lifespan.name(), "auto")),
            ("limit-concurrency", number(self.limit_concurrency)),
            ("limit-websockets", number(self.limit_websockets)),
            ("disconnect-grace", number(self.disconnect_grace)),
            ("ws-max-size", self.ws_max_size.clone()),
            ("ws-max-queue", number(self.ws_max_queue)),
            ("ws-ping-interval", number(self.ws_ping_interval)),
            ("ws-ping-timeout", number(self.ws_ping_timeout)),
            ("ws-per-message-deflate", is_given(self.ws_per_message_deflate.name(), "On")),
            ("ws-origins", is_given(&self.ws_origins, "any")),
            ("ws-graceful-timeout", number(self.ws_graceful_timeout)),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
