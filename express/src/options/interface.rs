//! Which interface a server has, and what follows from it.

use super::application::ApplicationType;
use super::asgi::Interface;
use super::check::{OptionError, Result, invalid};
use super::server::Options;

/// How many requests a process of ASGI has at a time unless `--limit-concurrency` says otherwise.
const CONCURRENCY: u32 = 1000;
/// How many WebSockets a process of ASGI has at a time unless `--limit-websockets` says otherwise.
const WEBSOCKETS: u32 = 10_000;
/// How many requests of asynchronous applications Apache has workers for, of threads: most of them wait for something.
const WAITING_REQUESTS: u64 = 256;
/// The name of the main interpreter.
const MAIN: &str = "%{GLOBAL}";

impl Options {
    /// The interface that the application's processes have; what only WSGI has settles it. A script, and a module
    /// without a callable, are named as mod_wsgi-express has them: that is WSGI, with all that only WSGI has, unless
    /// something else is said.
    pub fn interface(&self) -> Interface {
        let usual = if self.application.names_callable() { Interface::Auto } else { Interface::Wsgi };
        match self.asgi.interface.unwrap_or(usual) {
            Interface::Auto if self.needs_wsgi().is_some() => Interface::Wsgi,
            interface => interface,
        }
    }

    /// How many requests each process has at a time, and the word for what bounds them.
    pub fn concurrency(&self) -> (u32, &'static str) {
        match self.interface() {
            Interface::Asgi => (self.asgi.limit_concurrency.unwrap_or(CONCURRENCY), "requests"),
            Interface::Auto | Interface::Wsgi => (self.capacity.threads, "threads"),
        }
    }

    /// How many requests Apache needs workers for; `threaded`: those are threads.
    pub fn requests(&self, threaded: bool) -> u64 {
        let processes = u64::from(self.capacity.processes.unwrap_or(1));
        let threads = processes * u64::from(self.capacity.threads);
        if self.interface() != Interface::Asgi || !threaded {
            return threads;
        }
        threads.max((processes * u64::from(self.concurrency().0)).min(WAITING_REQUESTS))
    }

    /// How many WebSockets there may be at a time, in all processes; none where processes have threads.
    pub fn websockets(&self) -> u64 {
        let processes = u64::from(self.capacity.processes.unwrap_or(1));
        let each = self.asgi.limit_websockets.unwrap_or(WEBSOCKETS);
        if self.interface() == Interface::Asgi { processes * u64::from(each) } else { 0 }
    }

    /// The option that processes with an event loop cannot have.
    pub fn needs_wsgi(&self) -> Option<&'static str> {
        let Self { application, debugging, .. } = self;
        let mut modes = debugging.modes().into_iter().chain([(debugging.embedded_mode, "--embedded-mode")]);
        if let Some((_, mode)) = modes.find(|(given, _)| *given) {
            return Some(mode);
        }
        let other_kinds = [Some(ApplicationType::Paste), Some(ApplicationType::Static)];
        let others = [
            (other_kinds.contains(&application.application_type), "--application-type paste or static"),
            (!application.add_handler.is_empty(), "--add-handler"),
            (application.application_group.as_deref().is_some_and(|group| group != MAIN), "--application-group"),
        ];
        others.into_iter().find_map(|(given, option)| given.then_some(option))
    }

    pub(super) fn check_interface(&self) -> Result {
        let asgi = &self.asgi;
        if asgi.event_loop.contains(':') {
            let mut parts = asgi.event_loop.split(':');
            let is_function = matches!((parts.next(), parts.next(), parts.next()), (Some(m), Some(f), None) if !m.is_empty() && !f.is_empty());
            if !is_function {
                return Err(invalid("--loop", &asgi.event_loop, "a function that makes a loop is MODULE:FUNCTION"));
            }
        } else if !["auto", "asyncio", "uvloop"].contains(&asgi.event_loop.as_str()) {
            let reason = "it is auto, asyncio, uvloop, or a function that makes a loop, MODULE:FUNCTION";
            return Err(invalid("--loop", &asgi.event_loop, reason));
        }
        match (asgi.interface, self.needs_wsgi()) {
            (Some(Interface::Asgi), Some(other)) => Err(OptionError::Excludes { option: "--interface asgi", other }),
            _ => Ok(()),
        }
    }
}
