//! `handler`: a request for a script.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use wsgi_wire::codec::Bytes;
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::requests;
use wsgi_wire::question::Choice;

use super::asgi;
use super::destination::Destination;
use super::environ::{self, Environ};
use super::exchange::in_process;
use super::executor::{self, Executor, RequestNames};
use super::in_group::exchange;
use super::linger;
use super::question;
use super::refused::Refused;
use super::span::Span;
use super::status_page::status;
use super::translate::alias_of;
use super::variables;
use super::waking;
use super::websocket;
use crate::daemons::{self, Runtime};
use crate::directives::settings::Alias;
use crate::directives::settings::{HandlerScript, RequestSettings};
use crate::httpd::request::{Request, Target};
use crate::httpd::{HookStatus, log};
use crate::policy::acceptance::{self, BodyLength, RequestFacts};
use crate::policy::expansion::{self, Kind as GroupKind};

/// What the name of a handler stands for, if it is one of ours.
enum Named<'s> {
    /// The file of the request is a script.
    File,
    /// A script handles the file of the request.
    Handler(&'s Arc<HandlerScript>),
    /// The status page.
    Status,
}

impl<'s> Named<'s> {
    fn by(r: &Request<'_>, settings: &'s RequestSettings) -> Option<Self> {
        match r.handler() {
            b"wsgi-script" | b"application/x-httpd-wsgi" => Some(Self::File),
            b"wsgi-status" => Some(Self::Status),
            name => settings.handler_script(name).map(Self::Handler),
        }
    }
}

/// `fixups`: a worker that gives way stops doing so for a request that is not for one of our handlers: another one may
/// start programs.
pub fn fixups(r: &mut Request<'_>) -> HookStatus {
    if waking::gives_way() && r.settings().and_then(|settings| Named::by(r, settings)).is_none() {
        waking::be_usual();
    }
    HookStatus::Declined
}

/// Serves a request that is for one of our handlers.
pub fn handler(r: &mut Request<'_>) -> HookStatus {
    let Some(settings) = r.settings::<RequestSettings>() else { return HookStatus::Declined };
    let handler_script = match Named::by(r, settings) {
        Some(Named::File) => None,
        Some(Named::Handler(script)) => Some(script),
        Some(Named::Status) => return status(r),
        None => return HookStatus::Declined,
    };
    let mut span = None;
    let _busy = linger::busy();
    let answer = match serve(r, settings, handler_script, &mut span) {
        Ok(answer) => answer,
        Err(Refused { message, status, reason, groups }) => {
            let place = groups.as_ref().map(|(process_group, application_group)| log::Execution {
                script: handler_script.map_or(r.filename(), |handler| &handler.script),
                process_group,
                application_group,
            });
            log::record(r, &log::ours(message, &reason), place);
            HookStatus::Status(status)
        }
    };
    if let Some(span) = span {
        span.end(r, &answer);
    }
    answer
}

fn serve<'r>(
    r: &mut Request<'r>,
    settings: &'r RequestSettings,
    handler_script: Option<&'r Arc<HandlerScript>>,
    span: &mut Option<Span>,
) -> Result<HookStatus, Refused> {
    let runtime = daemons::of_child()
        .ok_or_else(|| Refused::new(&requests::NO_CONFIGURATION, 500, "no configuration is in force"))?;
    *span = Span::begin(r, runtime);
    let alias = if handler_script.is_none() { alias_of(r) } else { None };
    let script_name = environ::script_name(r);
    let mut destination = destination(r, runtime, settings, alias.map(Arc::as_ref), handler_script, &script_name);
    let takes_chunks =
        settings.chunked_request.unwrap_or_else(|| asgi::takes_chunks(runtime, &destination.process_group));
    let length = acceptance::accept(&facts(r, takes_chunks, alias.is_some(), handler_script.is_some()))
        .map_err(|refusal| Refused::new(refusal.message(), refusal.status(), refusal))?;
    if let Some(asked) = settings.dispatch_script.as_ref() {
        match question::dispatch(r, settings, asked, &destination) {
            Ok(choice) => destination = choose(r, runtime, destination, &choice, &script_name),
            Err(why) => return Ok(HookStatus::Status(why.status())),
        }
    }
    let allowed = settings.restrict_process.as_deref();
    if allowed.is_some_and(|allowed| !allowed.iter().any(|name| *name == *destination.process_group)) {
        let shown = String::from_utf8_lossy(&destination.process_group);
        let text = format!("WSGIRestrictProcess does not allow process group `{shown}` here");
        return Err(Refused::new(&requests::GROUP_FORBIDDEN, 500, text));
    }
    let script = destination.handler_script.unwrap_or(r.filename());
    let executor = executor::find(r, runtime, &mut destination, script)?;
    let mut handshake = None;
    if let Executor::Group(group) = executor {
        asgi::settle(r, runtime, group, &mut destination)?;
        if destination.interface == Interface::Asgi {
            handshake = match websocket::asked(r, group, length) {
                Ok(handshake) => handshake,
                Err(answer) => return Ok(answer),
            };
        }
    }
    let length = if handshake.is_some() {
        // It lives for long.
        waking::be_usual();
        BodyLength::Known(0)
    } else {
        length
    };
    if let Some(span) = span {
        span.runs_at(&destination, &script_name);
    }
    let mut environ = Environ::new(r, destination, script_name);
    if let Some(span) = span {
        environ.belongs_to(span.trace);
    }
    variables::fill_observed(r, &environ, length, &runtime.observed_variables);
    linger::runs(matches!(executor, Executor::Embedded(_)));
    let answer = match executor {
        Executor::Embedded(plan) => in_process(r, plan, settings, &environ, length),
        Executor::Group(group) if handshake.is_some() && !websocket::is_for_page(r, group, &environ) => {
            Ok(HookStatus::Status(403))
        }
        Executor::Group(group) => exchange(r, runtime, group, settings, &environ, length, handshake),
    };
    if let Ok(HookStatus::Status(status)) | Err(Refused { status, .. }) = answer {
        variables::fill_for_error_document(r, &environ, length, status);
    }
    answer.map_err(|refused| refused.at(environ.destination()))
}

fn facts<'r>(r: &Request<'r>, takes_chunks: bool, aliased: bool, is_handler: bool) -> RequestFacts<'r> {
    let headers = r.headers_in();
    let target = match r.target() {
        Target::Missing => acceptance::Target::Missing,
        Target::Directory => acceptance::Target::Directory,
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
        chunked_request: takes_chunks,
        body_limit: r.body_limit(),
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
    let names = RequestNames { r, script_name, case_sensitive: runtime.case_sensitive, environ: None };
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
        process_group: expansion::group(GroupKind::Process, process_group.unwrap_or(b""), &names),
        application_group: expansion::group(
            GroupKind::Application,
            application_group.unwrap_or(b"%{RESOURCE}"),
            &names,
        ),
        names_application_group: application_group.is_some(),
        callable,
        handler_script: handler.map(|h| &h.script[..]),
        pass_authorization: alias
            .and_then(|a| a.pass_authorization)
            .or_else(|| handler.and_then(|h| h.pass_authorization))
            .or(settings.pass_authorization),
        interface: Interface::Wsgi,
        chroot: None,
        fixed_mount: alias.is_some_and(|a| a.target.as_bytes() == r.filename()),
    }
}

/// Puts what a dispatch script has chosen in the place of what the configuration says. The names may contain variables
/// of the environ, which is made by then.
fn choose<'r>(
    r: &mut Request<'r>,
    runtime: &Runtime,
    usual: Destination<'r>,
    choice: &Choice,
    script_name: &Cow<'r, [u8]>,
) -> Destination<'r> {
    let environ = Environ::new(r, usual, script_name.clone());
    let names = RequestNames { r, script_name, case_sensitive: runtime.case_sensitive, environ: Some(&environ) };
    let group = |kind, name: &Option<Bytes>| {
        name.as_deref().map(|name| expansion::group(kind, name, &names).into_owned()).map(Cow::Owned)
    };
    let process_group = group(GroupKind::Process, &choice.process_group);
    let application_group = group(GroupKind::Application, &choice.application_group);
    let callable = choice.callable.as_deref().map(|name| expansion::callable(name, &names).into_owned());
    let usual = environ.into_destination();
    Destination {
        process_group: process_group.unwrap_or(usual.process_group),
        names_application_group: usual.names_application_group || application_group.is_some(),
        application_group: application_group.unwrap_or(usual.application_group),
        callable: callable.map_or(usual.callable, Cow::Owned),
        ..usual
    }
}
