//! `handler`: a request for a script.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::record::Level;
use wsgi_wire::request::{Body, Facts, put_request, put_route};
use wsgi_wire::response::Reject;

use super::answer::Disposition;
use super::client::HttpClient;
use super::translate::alias_of;
use crate::daemons::{self, Group, Runtime};
use crate::directives::alias::Alias;
use crate::directives::settings::{HandlerScript, RequestSettings};
use crate::environ::{self, Destination, Environ};
use crate::httpd::request::{Request, Target, process_variable};
use crate::httpd::{Answer, log, response};
use crate::policy::acceptance::{self, BodyLength, RequestFacts};
use crate::policy::expansion::{self, Kind as GroupKind, Names};
use crate::policy::owner::{self, Ownership};
use crate::policy::visibility;
use crate::relay::Client;
use crate::relay::choice::{Chosen, Now, Patience, look};
use crate::relay::connection::{BeginError, Connection};
use crate::relay::conversation::{Conversation, Outcome};
use crate::relay::inbox::Inbox;

/// A request that ends with an error of ours: what the client gets and what the log says.
struct Refused {
    status: u16,
    reason: String,
}

impl Refused {
    fn new(status: u16, reason: impl fmt::Display) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

/// Serves a request that is for one of our handlers.
pub fn handler(r: &mut Request<'_>) -> Answer {
    let Some(settings) = r.settings() else { return Answer::Declined };
    let handler_script = match r.handler() {
        b"wsgi-script" | b"application/x-httpd-wsgi" => None,
        name => match settings.handler_script(name) {
            Some(script) => Some(script),
            None => return Answer::Declined,
        },
    };
    match serve(r, settings, handler_script) {
        Ok(answer) => answer,
        Err(Refused { status, reason }) => {
            log::request(r, Level::Error, format_args!("{reason}: {}", String::from_utf8_lossy(r.filename())));
            Answer::Status(status)
        }
    }
}

fn serve<'r>(
    r: &mut Request<'r>,
    settings: &'r RequestSettings,
    handler_script: Option<&'r Arc<HandlerScript>>,
) -> Result<Answer, Refused> {
    let alias = if handler_script.is_none() { alias_of(r) } else { None };
    let length = acceptance::accept(&facts(r, settings, alias.is_some(), handler_script.is_some()))
        .map_err(|refusal| Refused::new(refusal.status(), refusal))?;
    if let Some(script) = settings.dispatch_script.as_deref() {
        return Err(Refused::new(
            500,
            format_args!(
                "WSGIDispatchScript {} chooses where this runs, but dispatch scripts are not available in this version",
                String::from_utf8_lossy(script)
            ),
        ));
    }
    let runtime = daemons::current().ok_or_else(|| Refused::new(500, "no configuration is in force"))?;
    let script_name = environ::script_name(r);
    let destination = destination(r, &runtime, settings, alias.map(Arc::as_ref), handler_script, &script_name);
    let group = choose_group(r, &runtime, settings, &destination.process_group)?;
    let environ = Environ::new(r, destination, script_name);
    relay(r, &runtime, group, settings, &environ, length)
}

fn facts<'r>(r: &Request<'r>, settings: &RequestSettings, aliased: bool, is_handler: bool) -> RequestFacts<'r> {
    let headers = r.headers_in();
    let target = match r.target() {
        Target::Missing => acceptance::Target::Missing,
        Target::Folder => acceptance::Target::Folder,
        Target::File(_) => acceptance::Target::File,
    };
    RequestFacts {
        target: (!is_handler).then_some(target),
        aliased,
        may_execute: r.may_execute(),
        has_path_info: !r.path_info().is_empty(),
        rejects_path_info: r.rejects_path_info(),
        transfer_encoding: headers.get(c"Transfer-Encoding"),
        content_length: headers.get(c"Content-Length"),
        chunked_request: settings.chunked_request.unwrap_or(false),
        body_limit: r.body_limit(),
    }
}

/// What names of groups may be made of, asked of a request.
struct RequestNames<'n, 'r> {
    r: &'n Request<'r>,
    script_name: &'n [u8],
    case_sensitive: bool,
}

impl Names for RequestNames<'_, '_> {
    fn server(&self) -> &[u8] {
        self.r.plain_server_name()
    }

    fn host(&self) -> Option<&[u8]> {
        self.r.hostname()
    }

    fn port(&self) -> u16 {
        self.r.server_port()
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        if self.case_sensitive { Cow::Borrowed(self.script_name) } else { Cow::Owned(self.script_name.to_ascii_lowercase()) }
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name_for_c = self.r.pool().text(name);
        let found = self.r.notes().get(name_for_c).or_else(|| self.r.environment().get(name_for_c));
        found.map(<[u8]>::to_vec).or_else(|| process_variable(name))
    }
}

/// Where the application runs: what the alias or handler says, else the settings, else the defaults; names expanded.
fn destination<'r>(
    r: &Request<'r>,
    runtime: &Runtime,
    settings: &'r RequestSettings,
    alias: Option<&'r Alias>,
    handler: Option<&'r Arc<HandlerScript>>,
    script_name: &[u8],
) -> Destination<'r> {
    let names = RequestNames { r, script_name, case_sensitive: runtime.case_sensitive };
    let own = |of_alias: fn(&Alias) -> &Option<Vec<u8>>, of_handler: fn(&HandlerScript) -> &Option<Vec<u8>>| {
        let found = alias.and_then(|a| of_alias(a).as_deref());
        found.or_else(|| handler.and_then(|h| of_handler(h).as_deref()))
    };
    let process_group = own(|a| &a.process_group, |h| &h.process_group).or(settings.process_group.as_deref());
    let application_group =
        own(|a| &a.application_group, |h| &h.application_group).or(settings.application_group.as_deref());
    let callable = match (handler, alias.and_then(|a| a.callable.as_deref())) {
        (Some(_), _) => Cow::Borrowed(&b"handle_request"[..]),
        (None, Some(name)) => Cow::Borrowed(name),
        (None, None) => expansion::callable(settings.callable.as_deref().unwrap_or(b"application"), &names),
    };
    Destination {
        process_group: expansion::group(GroupKind::ProcessGroup, process_group.unwrap_or(b""), &names),
        application_group: expansion::group(
            GroupKind::ApplicationGroup,
            application_group.unwrap_or(b"%{RESOURCE}"),
            &names,
        ),
        callable,
        handler_script: handler.map(|h| &h.script[..]),
        pass_authorization: alias
            .and_then(|a| a.pass_authorization)
            .or_else(|| handler.and_then(|h| h.pass_authorization))
            .or(settings.pass_authorization)
            .unwrap_or(false),
        fixed_mount: alias.is_some_and(|a| a.target.as_bytes() == r.filename()),
    }
}

fn choose_group<'g>(
    r: &Request<'_>,
    runtime: &'g Runtime,
    settings: &RequestSettings,
    name: &[u8],
) -> Result<&'g Group, Refused> {
    let shown = String::from_utf8_lossy(name);
    if settings.restrict_process.as_deref().is_some_and(|allowed| !allowed.iter().any(|a| a == name)) {
        return Err(Refused::new(500, format_args!("WSGIRestrictProcess does not allow process group `{shown}` here")));
    }
    if name.is_empty() {
        let reason = if runtime.restrict_embedded {
            "WSGIRestrictEmbedded forbids embedded mode; name a process group (WSGIDaemonProcess, process-group=) for this script"
        } else {
            "embedded mode is not available in this version; define a process group with WSGIDaemonProcess and name it with process-group= or WSGIProcessGroup for this script"
        };
        return Err(Refused::new(500, reason));
    }
    let group = runtime.groups.get(name).ok_or_else(|| {
        Refused::new(500, format_args!("process group `{shown}` is not defined; define it with WSGIDaemonProcess"))
    })?;
    let server = r.server();
    if !visibility::usable(&group.origin, server.id(), server.hostname()) {
        return Err(Refused::new(500, format_args!("process group `{shown}` belongs to another virtual host")));
    }
    if let Some(policy) = group.owner {
        let script = Path::new(std::ffi::OsStr::from_bytes(r.filename()));
        let ownership = |path: &Path| {
            let found = path.metadata().map_err(|error| Refused::new(403, error))?;
            Ok(Ownership { uid: found.uid(), gid: found.gid(), mode: found.mode() })
        };
        let folder = ownership(script.parent().unwrap_or(Path::new("/")))?;
        owner::check(policy, ownership(script)?, folder).map_err(|refusal| Refused::new(403, refusal))?;
    }
    Ok(group)
}

/// Memory that a thread uses again for each of its requests.
#[derive(Default)]
struct Scratch {
    route: Vec<u8>,
    message: Vec<u8>,
    body: Vec<u8>,
    inbox: Inbox,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn relay<'r>(
    r: &mut Request<'r>,
    runtime: &Runtime,
    group: &Group,
    settings: &RequestSettings,
    environ: &Environ<'r>,
    length: BodyLength,
) -> Result<Answer, Refused> {
    // Taken out rather than borrowed: a filter may run a subrequest, and with it this function again, on the same thread.
    let mut scratch = SCRATCH.with(RefCell::take);
    let mut exchange = Exchange { runtime, group, settings, environ, scratch: &mut scratch, body: Prepared::None };
    let outcome = exchange.run(r, length);
    scratch.body.clear();
    scratch.inbox.clear();
    SCRATCH.with(|kept| kept.replace(scratch));
    outcome
}

/// How the body goes to the daemon.
#[derive(Clone, Copy)]
enum Prepared {
    None,
    /// It is in the scratch memory.
    Inline,
    Pull(Option<u64>),
}

/// A request on its way to some process of its group.
struct Exchange<'e, 'r> {
    runtime: &'e Runtime,
    group: &'e Group,
    settings: &'e RequestSettings,
    environ: &'e Environ<'r>,
    scratch: &'e mut Scratch,
    body: Prepared,
}

impl<'r> Exchange<'_, 'r> {
    fn run(&mut self, r: &mut Request<'r>, length: BodyLength) -> Result<Answer, Refused> {
        self.write_route(r);
        let script_mtime = match (self.environ.destination().handler_script, r.target()) {
            (None, Target::File(mtime)) => mtime,
            _ => 0,
        };
        let expects = r.headers_in().get(c"Expect").is_some();
        let client_timeout = self.group.response_timeout.and_then(|t| set_client_timeout(r, t));
        let mut client = HttpClient::new(r, self.group.header_limit);
        if let Err(status) = self.prepare_body(&mut client, length, expects) {
            return Err(Refused::new(status, "the request body cannot be read"));
        }
        let facts = Facts {
            request_start: client.request().time(),
            queue_start: now_in_microseconds(),
            script_mtime,
            ..Facts::default()
        };
        let outcome = self.find_and_converse(&mut client, facts)?;
        let answer = conclude(&mut client, outcome);
        if let Some(microseconds) = client_timeout {
            response::set_client_timeout(client.request(), microseconds);
        }
        answer
    }

    fn write_route(&mut self, r: &Request<'r>) {
        let destination = self.environ.destination();
        self.scratch.route.clear();
        put_route(
            &mut self.scratch.route,
            destination.handler_script.unwrap_or(r.filename()),
            &destination.application_group,
            &destination.callable,
            self.settings.script_reloading.unwrap_or(true),
            self.settings.ignore_activity.unwrap_or(false),
            |vars| self.environ.write_route(r, vars),
        );
    }

    /// A small body is read before a process is bothered: a slow client then holds no Python thread.
    fn prepare_body(&mut self, client: &mut HttpClient<'_, 'r>, length: BodyLength, expects: bool) -> Result<(), u16> {
        self.body = match length {
            BodyLength::Known(0) => Prepared::None,
            BodyLength::Known(n) if n <= limits::INLINE_BODY as u64 && !expects => {
                self.scratch.body.clear();
                // One more than announced: filters may change the length.
                while self.scratch.body.len() <= limits::INLINE_BODY {
                    match client.read_body(limits::INLINE_BODY, &mut self.scratch.body) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(_) => return Err(client.body_failure().unwrap_or(400)),
                    }
                }
                Prepared::Inline
            }
            BodyLength::Known(n) => Prepared::Pull(Some(n)),
            BodyLength::Chunked => Prepared::Pull(None),
        };
        Ok(())
    }

    /// Tries processes until one executes the request.
    fn find_and_converse(&mut self, client: &mut HttpClient<'_, 'r>, mut facts: Facts) -> Result<Outcome, Refused> {
        let Some(table) = self.runtime.table else { return Err(Refused::new(503, "there is no process table")) };
        let mut patience = Patience::new(Instant::now(), self.group.connect_timeout);
        let mut avoid: Vec<(usize, u32)> = Vec::new();
        loop {
            let found = look(table.slots(), self.group.key, &avoid);
            let Now::Process(chosen) = found else {
                let Some(pause) = patience.pause(Instant::now(), found) else {
                    return Err(Refused::new(503, self.no_process(&found)));
                };
                std::thread::sleep(pause);
                continue;
            };
            facts.connects = facts.connects.saturating_add(1);
            match self.converse_with(chosen, client, &mut facts)? {
                Some(Outcome::Rejected(Reject::QueueTimeout)) => {
                    return Err(Refused::new(504, "the request has waited for a thread longer than queue-timeout allows"));
                }
                Some(Outcome::Rejected(_)) => {
                    facts.rejects = facts.rejects.saturating_add(1);
                    avoid.push((chosen.index, chosen.serial));
                }
                Some(Outcome::NotExecuted) => avoid.push((chosen.index, chosen.serial)),
                Some(outcome) => return Ok(outcome),
                None => avoid.push((chosen.index, chosen.serial)),
            }
        }
    }

    fn no_process(&self, found: &Now) -> String {
        let name = String::from_utf8_lossy(&self.environ.destination().process_group).into_owned();
        match found {
            Now::Nothing => format!("no process of group `{name}` is running; the error log says why they do not start"),
            _ => format!("no process of group `{name}` has become ready within connect-timeout"),
        }
    }

    /// One try with one process; `None` if it does not even take the connection.
    fn converse_with(
        &mut self,
        chosen: Chosen,
        client: &mut HttpClient<'_, 'r>,
        facts: &mut Facts,
    ) -> Result<Option<Outcome>, Refused> {
        let Some(slot) = self.runtime.table.and_then(|t| t.slot(chosen.index)) else { return Ok(None) };
        let _load = Load::on(slot, chosen.serial);
        let mut idle = self.runtime.idle.take(chosen.index, chosen.serial);
        loop {
            let pooled = idle.is_some();
            let connection = match idle.take() {
                Some(connection) => connection,
                None => match self.connect(chosen) {
                    Some(connection) => connection,
                    None => return Ok(None),
                },
            };
            let (outcome, connection) = match self.converse(connection, client, facts) {
                Ok(done) => done,
                Err(BeginError::RoutesExhausted) => continue,
                Err(BeginError::TooLong) => {
                    return Err(Refused::new(500, "the request's headers do not fit into a frame"));
                }
            };
            if let Some(connection) = connection {
                self.runtime.idle.put(chosen.index, connection);
            }
            // The process may have closed a connection that was idle, and be alive: another one to it is the first choice.
            if outcome == Outcome::NotExecuted && pooled {
                continue;
            }
            return Ok(Some(outcome));
        }
    }

    fn connect(&self, chosen: Chosen) -> Option<Connection> {
        let path = wsgi_wire::table::socket_path(
            &self.runtime.socket_prefix,
            self.runtime.parent,
            chosen.index,
            chosen.serial,
        );
        Connection::open(&path, chosen.serial, chosen.secret, self.group.socket_timeout, self.group.buffers).ok()
    }

    /// Gives the connection back if it can carry another request.
    fn converse(
        &mut self,
        mut connection: Connection,
        client: &mut HttpClient<'_, 'r>,
        facts: &mut Facts,
    ) -> Result<(Outcome, Option<Connection>), BeginError> {
        let scratch = &mut *self.scratch;
        scratch.message.clear();
        scratch.inbox.clear();
        facts.route = connection.begin(&scratch.route, &mut scratch.message)?;
        let body = match self.body {
            Prepared::None => Body::None,
            Prepared::Inline => Body::Inline(&scratch.body),
            Prepared::Pull(length) => Body::Pull(length),
        };
        let r = client.request();
        frame::put(&mut scratch.message, Kind::Request, |out| {
            put_request(out, facts, body, |vars| self.environ.write_request(r, vars));
        })?;
        let conversation = Conversation::new(&mut connection, &mut scratch.inbox, client, self.group.flush_delay);
        let outcome = conversation.run(&scratch.message);
        let whole = matches!(
            outcome,
            Outcome::Complete | Outcome::Truncated | Outcome::Failed(_) | Outcome::Rejected(_)
        );
        Ok((outcome, (whole && scratch.inbox.is_empty()).then_some(connection)))
    }
}

/// Counts a request as in flight at a process while it lives.
struct Load<'t> {
    slot: &'t wsgi_wire::table::Slot,
    serial: u32,
}

impl<'t> Load<'t> {
    fn on(slot: &'t wsgi_wire::table::Slot, serial: u32) -> Self {
        slot.in_flight.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self { slot, serial }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        use std::sync::atomic::Ordering::{Acquire, Relaxed};
        // The slot may have a new process by now, which counts from zero.
        if self.slot.serial.load(Acquire) == self.serial {
            // It never goes below zero, whatever happens in between.
            let _ = self.slot.in_flight.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        }
    }
}

/// What the outcome means for the client.
fn conclude(client: &mut HttpClient<'_, '_>, outcome: Outcome) -> Result<Answer, Refused> {
    // What went wrong with the client's own body says more than the application's failure that followed from it.
    let failed = |client: &mut HttpClient<'_, '_>, status: u16| {
        Ok(Answer::Status(client.body_failure().unwrap_or(status)))
    };
    match outcome {
        Outcome::Complete => finish(client),
        Outcome::ClientGone => Ok(Answer::Ok),
        Outcome::Failed(status) => failed(client, status),
        Outcome::Refused(status) => Ok(Answer::Status(status)),
        Outcome::Truncated | Outcome::Lost(true) | Outcome::TimedOut(true) if client.has_passed() => {
            if let Some(reason) = cut_short(outcome) {
                log::request(client.request(), Level::Error, format_args!("{reason}; the response is cut short"));
            }
            client.abort();
            Ok(Answer::Ok)
        }
        Outcome::Truncated => clear(client, 500, None),
        Outcome::Lost(_) => clear(client, 502, cut_short(outcome)),
        Outcome::TimedOut(_) => clear(client, 504, cut_short(outcome)),
        Outcome::Rejected(_) | Outcome::NotExecuted => Err(Refused::new(503, "no process took the request")),
    }
}

fn cut_short(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Lost(_) => Some("the daemon process closed the connection without a whole response"),
        Outcome::TimedOut(_) => Some("the daemon process has not sent anything for as long as socket-timeout allows"),
        _ => None,
    }
}

/// Nothing has been sent yet: an error page takes the place of the response.
fn clear(client: &mut HttpClient<'_, '_>, status: u16, reason: Option<&str>) -> Result<Answer, Refused> {
    response::clear_status(client.request());
    match reason {
        Some(reason) => Err(Refused::new(status, reason)),
        None => Ok(Answer::Status(status)),
    }
}

fn finish(client: &mut HttpClient<'_, '_>) -> Result<Answer, Refused> {
    match client.disposition().clone() {
        Disposition::Send => Ok(Answer::Ok),
        Disposition::Replace(status) => Ok(Answer::Status(status)),
        Disposition::Redirect(url) => {
            client.request().redirect_to(&url);
            Ok(Answer::Ok)
        }
    }
}

fn set_client_timeout(r: &mut Request<'_>, timeout: Duration) -> Option<i64> {
    response::set_client_timeout(r, i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX))
}

fn now_in_microseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
