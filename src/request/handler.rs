//! `handler`: a request for a script.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use wsgi_wire::record::Level;

use super::environ::{self, Destination, Environ};
use super::exchange::{exchange, in_process};
use super::refused::Refused;
use super::status_page::status;
use super::translate::alias_of;
use super::variables;
use crate::daemons::{self, Group, Runtime};
use crate::directives::settings::Alias;
use crate::directives::settings::{HandlerScript, RequestSettings};
use crate::embedded::Plan;
use crate::httpd::request::{Request, Target, process_variable};
use crate::httpd::{Answer, log};
use crate::policy::acceptance::{self, RequestFacts};
use crate::policy::expansion::{self, Kind as GroupKind, Names};
use crate::policy::owner::{self, Ownership};
use crate::policy::visibility;

/// Serves a request that is for one of our handlers.
pub fn handler(r: &mut Request<'_>) -> Answer {
    let Some(settings) = r.settings::<RequestSettings>() else { return Answer::Declined };
    let handler_script = match r.handler() {
        b"wsgi-script" | b"application/x-httpd-wsgi" => None,
        b"wsgi-status" => return status(r),
        name => match settings.handler_script(name) {
            Some(script) => Some(script),
            None => return Answer::Declined,
        },
    };
    match serve(r, settings, handler_script) {
        Ok(answer) => answer,
        Err(Refused { status, reason, groups }) => {
            let place = groups.as_ref().map(|(process_group, application_group)| log::Place {
                script: handler_script.map_or(r.filename(), |handler| &handler.script),
                process_group,
                application_group,
            });
            log::record(r, &log::ours(Level::Error, &reason), place);
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
    let mut destination = destination(r, &runtime, settings, alias.map(Arc::as_ref), handler_script, &script_name);
    let place = choose_place(r, &runtime, settings, &destination.process_group)?;
    if let Place::Group(Group { chroot: Some(root), .. }) = &place {
        destination.chroot = Some(root.clone());
        let script = destination.handler_script.unwrap_or(r.filename());
        if destination.visible(script).is_none() {
            let (script, root) = (String::from_utf8_lossy(script), String::from_utf8_lossy(root));
            return Err(Refused::new(500, format_args!("script `{script}` is not below the group's chroot `{root}`")));
        }
    }
    let environ = Environ::new(r, destination, script_name);
    variables::fill_wanted(r, &environ, length, &runtime.wanted);
    let answer = match place {
        Place::Embedded(plan) => in_process(r, plan, settings, &environ, length),
        Place::Group(group) => exchange(r, &runtime, group, settings, &environ, length),
    };
    if let Ok(Answer::Status(status)) | Err(Refused { status, .. }) = answer {
        variables::fill_for_error_document(r, &environ, length, status);
    }
    answer.map_err(|refused| refused.at(environ.destination()))
}

/// Where a request is executed.
enum Place<'p> {
    /// In this Apache child.
    Embedded(&'p Plan),
    /// In a process of this group.
    Group(&'p Group),
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
        self.r.server().hostname().unwrap_or(b"")
    }

    fn host(&self) -> Option<&[u8]> {
        self.r.hostname()
    }

    fn port(&self) -> u16 {
        self.r.own_port()
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        if self.case_sensitive {
            Cow::Borrowed(self.script_name)
        } else {
            Cow::Owned(self.script_name.to_ascii_lowercase())
        }
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
        chroot: None,
        fixed_mount: alias.is_some_and(|a| a.target.as_bytes() == r.filename()),
    }
}

fn choose_place<'p>(
    r: &Request<'_>,
    runtime: &'p Runtime,
    settings: &RequestSettings,
    name: &[u8],
) -> Result<Place<'p>, Refused> {
    let shown = String::from_utf8_lossy(name);
    if settings.restrict_process.as_deref().is_some_and(|allowed| !allowed.iter().any(|a| a == name)) {
        return Err(Refused::new(500, format_args!("WSGIRestrictProcess does not allow process group `{shown}` here")));
    }
    if name.is_empty() {
        let reason = "WSGIRestrictEmbedded forbids embedded mode; name a process group (WSGIDaemonProcess, process-group=) for this script";
        return runtime.embedded.as_ref().map(Place::Embedded).ok_or_else(|| Refused::new(500, reason));
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
    Ok(Place::Group(group))
}
