//! Boots a real Apache with the installed product, for the integration tests.
//!
//! ```no_run
//! use harness::{Httpd, Site};
//!
//! let site = Httpd::builder()
//!     .conf("WSGIDaemonProcess shop threads=3\nWSGIScriptAlias / {apps}/shop.wsgi process-group=shop")
//!     .app("shop.wsgi", "def application(environ, start_response): ...")
//!     .start();
//! assert_eq!(site.get("/").status, 200);
//! site.finish();
//! ```
//!
//! Every server has a directory of its own, listens on a free port of 127.0.0.1 and is ended when it goes out of scope,
//! its daemons included, wherever they are in the process tree. A server that leaves a process, a socket or a crash
//! report behind fails its test ([`Httpd::finish`]), and so does one whose log has a warning or an error of ours that
//! the test has not announced ([`Builder::expect_log`], [`Log::expect`]). There are no fixed sleeps: whoever waits,
//! waits for a fact ([`eventually`]).
//!
//! `MOD_WSGI_EXPRESS` names the installation under test, so that the same tests can be run against another
//! implementation of the same directives and commands.

#![allow(clippy::expect_used, reason = "whatever goes wrong here fails a test, with its place")]

mod apache;
mod apps;
mod browser;
mod busy;
mod census;
mod collector;
mod command;
mod conf;
mod control;
mod django;
mod echo;
mod executing;
mod express;
mod foreground;
pub mod http2;
mod httpd;
mod hygiene;
mod load;
mod logs;
mod notify;
mod parent;
mod passing;
mod ports;
mod processes;
mod product;
mod raw;
mod request;
mod scratch;
mod terminal;
mod unit;
mod verdict;
mod wait;
pub mod websocket;

pub use apache::module;
pub use apps::{HELLO, PROBE};
pub use browser::Browser;
pub use busy::{busy, executions, open_notes, whole};
pub use census::{Member, Role};
pub use collector::{Collector, attribute, spans_in};
pub use command::{Finished, run};
pub use conf::Mpm;
pub use control::Control;
pub use django::Project;
pub use echo::{MIRROR, echo};
pub use express::Express;
pub use foreground::Foreground;
pub use httpd::{Builder, Httpd, MODES};
pub use load::{Job, Load, Outcome, daemons};
pub use logs::{Log, records};
pub use notify::Notified;
pub use ports::free_port;
pub use processes::{ORDINARY_USER, alive, as_user, is_root, kill};
pub use product::{Product, cannot_run, curl_has, product, repository};
pub use raw::{Answer, Client};
pub use request::{Response, Site, basic, get};
pub use scratch::Scratch;
pub use unit::judge_unit;
pub use verdict::{Verdict, repetitions};
pub use wait::{eventually, in_time};
