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
    /// Seconds after which the request of a client that is gone is cancelled [default: it goes on]
    #[arg(long, value_name = "SECONDS")]
    pub disconnect_grace: Option<u32>,
}

impl Asgi {
    /// The options that only asynchronous applications have, with their values, as far as they are given.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, String)> {
        let is_given = |name: &str, usual: &str| (name != usual).then(|| name.to_owned());
        let options = [
            ("loop", is_given(&self.event_loop, "auto")),
            ("lifespan", is_given(self.lifespan.name(), "auto")),
            ("limit-concurrency", self.limit_concurrency.map(|n| n.to_string())),
            ("disconnect-grace", self.disconnect_grace.map(|n| n.to_string())),
        ];
        options.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
