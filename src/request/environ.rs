//! The environ of a request, as variables for the wire: `pyapi.md` §1. What does not vary between the requests to one
//! application is written into the route, the rest into the request; both are written straight from Apache's records,
//! nothing is collected in between.

mod scope;

use std::borrow::Cow;
use std::process;
use std::sync::OnceLock;

use wsgi_wire::messages::Topic;
use wsgi_wire::names::{self, Name};
use wsgi_wire::request::VarsWriter;

use super::decimal::Decimal;
use super::destination::Destination;
use crate::directives::settings::RequestSettings;
use crate::httpd::log;
use crate::httpd::request::Request;
use crate::policy::proxies::{self, Changes};
use crate::policy::trace::{self, Trace};
use crate::policy::{head, path, variable};

/// The script that an environ is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The application, or the script that chooses where it runs.
    Application,
    /// A script that decides whether there will be an application at all. It hears what the client itself has said, and
    /// neither who that claims to be nor what others have made of it (`SetEnv`, headers of proxies).
    Gatekeeper,
}

/// The environ of one request, worked out as far as several variables depend on each other.
pub struct Environ<'r> {
    reader: Reader,
    destination: Destination<'r>,
    method: &'r [u8],
    script_name: Cow<'r, [u8]>,
    path_info: Cow<'r, [u8]>,
    server_name: &'r [u8],
    server_port: u16,
    changes: Changes,
    https: Option<bool>,
    /// Whether name and port are the configured ones, rather than what the client wrote.
    canonical: bool,
    pass_authorization: bool,
    pass_proxy_authorization: bool,
    request_uri: &'r [u8],
    request_id: &'r [u8],
    /// The trace that the request belongs to, where a collector is told about it.
    trace: Option<Trace>,
}

/// Takes the variables of an environ, one after the other. A later one takes the place of an earlier one of the same
/// name.
pub trait Variables {
    /// Takes one variable.
    fn put(&mut self, name: Name<'_>, value: &[u8]);
}

impl Variables for VarsWriter<'_> {
    fn put(&mut self, name: Name<'_>, value: &[u8]) {
        self.push(name, value);
    }
}

/// The value that CONTENT_LENGTH gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentLength {
    /// The length that the client has announced.
    AsSent,
    /// The length of what an input filter has made of the body.
    Real(u64),
    /// No length: an input filter may yet make the body another one.
    Unknown,
}

/// SCRIPT_NAME with single slashes.
pub fn script_name<'r>(r: &Request<'r>) -> Cow<'r, [u8]> {
    let uri = r.uri();
    let end = if r.path_info().is_empty() { uri.len() } else { r.path_info_start() };
    path::single_slashes(uri.get(..end).unwrap_or(uri))
}

impl<'r> Environ<'r> {
    /// Makes the environ that the application is told. Works out what several variables depend on.
    pub fn new(r: &mut Request<'r>, destination: Destination<'r>, script_name: Cow<'r, [u8]>) -> Self {
        let core = r.core_flags();
        let settings = r.settings::<RequestSettings>();
        let mapping = settings.and_then(|s| s.map_head).unwrap_or_default();
        let method = head::method(mapping, r.method(), r.is_get(), r.has_content_filter());
        let changes = match settings.and_then(|s| s.trusted_headers.as_deref()) {
            Some(declared) => trusted(r, declared, settings.and_then(|s| s.trusted_proxies.as_deref())),
            None => Changes::default(),
        };
        Self {
            method,
            path_info: path::single_slashes(r.path_info()),
            pass_authorization: destination.passes_authorization() || core.pass_authorization,
            pass_proxy_authorization: core.pass_authorization,
            ..Self::with(r, Reader::Application, destination, script_name, changes)
        }
    }

    /// Makes the environ for a script that decides whether the request may go on.
    pub fn of_gatekeeper(r: &mut Request<'r>, destination: Destination<'r>, script_name: Cow<'r, [u8]>) -> Self {
        Self::with(r, Reader::Gatekeeper, destination, script_name, Changes::default())
    }

    fn with(
        r: &mut Request<'r>,
        reader: Reader,
        destination: Destination<'r>,
        script_name: Cow<'r, [u8]>,
        changes: Changes,
    ) -> Self {
        // A scheme header that was there has the last word, whether it was understood or not. Before TLS that ends
        // elsewhere, `ServerName https://…` says so as well as mod_ssl does.
        let is_https = || r.is_https() || r.scheme() == b"https";
        let https = changes.https.or_else(|| (!changes.scheme_applied && is_https()).then_some(true));
        let (server_name, server_port) = (r.server_name(), r.server_port());
        Self {
            reader,
            method: r.method(),
            script_name,
            path_info: Cow::Borrowed(r.path_info()),
            canonical: r.server().hostname() == Some(server_name) && r.listener().1 == server_port,
            server_name,
            server_port,
            https,
            pass_authorization: false,
            pass_proxy_authorization: false,
            request_uri: if r.core_flags().current_uri { r.uri() } else { path::request_target(r.line()) },
            request_id: r.id(),
            changes,
            destination,
            trace: None,
        }
    }

    /// Makes the request a part of this trace, which the application hears of.
    pub fn belongs_to(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// Where the application runs, when nobody is told about the request any more.
    pub fn into_destination(self) -> Destination<'r> {
        self.destination
    }

    /// Where the application runs.
    pub fn destination(&self) -> &Destination<'r> {
        &self.destination
    }

    /// Writes the variables that do not vary from request to request.
    pub fn write_route(&self, r: &Request<'r>, vars: &mut impl Variables) {
        let mut put = |id: u8, value: &[u8]| vars.put(Name::Known(id), value);
        put(names::SERVER_SOFTWARE, r.banner());
        put(names::SERVER_ADDR, r.local_ip());
        put(names::REQUEST_SCHEME, r.scheme());
        if let Some(admin) = r.server().admin() {
            put(names::SERVER_ADMIN, admin);
        }
        let [document_root, prefix, context_root] = r.roots();
        put(names::DOCUMENT_ROOT, self.destination.visible(document_root.unwrap_or(b"")).unwrap_or(b""));
        put(names::CONTEXT_PREFIX, prefix.unwrap_or(b""));
        put(names::CONTEXT_DOCUMENT_ROOT, context_root.unwrap_or(b""));
        put(names::PROCESS_GROUP, &self.destination.process_group);
        put(names::APPLICATION_GROUP, &self.destination.application_group);
        if !self.destination.callable.is_empty() {
            put(names::CALLABLE_OBJECT, &self.destination.callable);
        }
        put(names::REQUEST_HANDLER, r.handler());
        put(names::HANDLER_SCRIPT, self.destination.handler_script.unwrap_or(b""));
        let (host, port) = r.listener();
        put(names::LISTENER_HOST, host);
        put(names::LISTENER_PORT, Decimal::of(port).as_bytes());
        put(names::SERVER_PID, Decimal::of(server_pid()).as_bytes());
        if !self.file_varies() {
            put(names::SCRIPT_FILENAME, self.destination.inside(r.filename()));
        }
        if self.canonical {
            self.put_server(&mut put);
        }
        if self.destination.fixed_mount {
            self.put_mount(&mut put);
        }
    }

    /// Whether the file that was asked for differs from the application's script.
    fn file_varies(&self) -> bool {
        self.reader == Reader::Gatekeeper || self.destination.handler_script.is_some()
    }

    fn put_server(&self, put: &mut impl FnMut(u8, &[u8])) {
        put(names::SERVER_NAME, self.server_name);
        put(names::SERVER_PORT, Decimal::of(self.server_port).as_bytes());
    }

    fn put_mount(&self, put: &mut impl FnMut(u8, &[u8])) {
        put(names::SCRIPT_NAME, &self.script_name);
        put(names::ORIGINAL_SCRIPT_NAME, &self.script_name);
    }

    /// Writes the variables that vary. Variables of SetEnv and other modules come first, so that ours replace those of
    /// the same name.
    pub fn write_request(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        if self.reader == Reader::Application {
            self.write_environment(r, length, vars);
        }
        self.write_own(r, length, vars);
    }

    /// Writes the variables that vary, but for those of SetEnv and other modules.
    pub fn write_own(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        self.write_headers(r, length, vars);
        if let ContentLength::Real(length) = length {
            vars.put(Name::of(b"CONTENT_LENGTH"), length.to_string().as_bytes());
        }
        let mut put = |id: u8, value: &[u8]| vars.put(Name::Known(id), value);
        put(names::REQUEST_METHOD, self.method);
        put(names::REQUEST_URI, self.request_uri);
        put(names::QUERY_STRING, r.query());
        put(names::SERVER_PROTOCOL, r.protocol());
        put(names::PATH_INFO, &self.path_info);
        put(names::ORIGINAL_PATH_INFO, &self.path_info);
        if !self.destination.fixed_mount {
            self.put_mount(&mut put);
        }
        if !self.canonical {
            self.put_server(&mut put);
        }
        if self.file_varies() {
            put(names::SCRIPT_FILENAME, self.destination.inside(r.filename()));
        }
        put(names::REMOTE_ADDR, self.changes.remote_addr.as_deref().unwrap_or(r.client_ip()));
        put(names::REMOTE_PORT, Decimal::of(r.client_port()).as_bytes());
        put(names::REQUEST_ID, self.request_id);
        let is_known = self.reader == Reader::Application;
        let optional = [
            (names::CONNECTION_ID, r.connection_id()),
            (names::REMOTE_USER, r.user().filter(|_| is_known)),
            (names::AUTH_TYPE, r.auth_type().filter(|_| is_known)),
            (names::HTTP_HOST, self.changes.host.as_deref()),
            (names::SERVER_NAME, self.changes.server_name.as_deref()),
            (names::SERVER_PORT, self.changes.server_port.as_deref()),
            (names::SCRIPT_NAME, self.changes.script_name.as_deref()),
            (names::MOUNT_POINT, self.changes.script_name.as_deref()),
            (names::HTTPS, self.https.and_then(|https| https.then_some(&b"1"[..]))),
        ];
        for (id, value) in optional {
            if let Some(value) = value {
                put(id, value);
            }
        }
        if is_known {
            write_redirect(r, vars);
        } else {
            vars.put(Name::Text(b"SERVER_SIGNATURE"), r.signature());
            if let Some(host) = r.remote_host() {
                vars.put(Name::Text(b"REMOTE_HOST"), host);
            }
        }
    }

    fn write_environment(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        for (name, value) in r.environment().iter() {
            let name = Name::of(name);
            let ours = match name {
                // A scheme header overrules HTTPS of SetEnv.
                Name::Known(names::HTTPS) => self.https.is_some(),
                // It may have been filled in from the header, for others.
                Name::Known(names::CONTENT_LENGTH) => length != ContentLength::AsSent,
                Name::Known(id) => describes_request(id),
                Name::Text(text) => text == b"PATH",
            };
            if !ours {
                vars.put(name, value);
            }
        }
    }

    fn write_headers(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        let mut key = Vec::with_capacity(64);
        for (name, value) in r.headers_in().iter() {
            if !variable::of_header(name, &mut key) || key == b"CONTENT_LENGTH" && length != ContentLength::AsSent {
                continue;
            }
            let variable = Name::of(&key);
            let value = match variable {
                Name::Known(names::HTTP_AUTHORIZATION) if !self.pass_authorization => continue,
                Name::Known(names::HTTP_X_FORWARDED_FOR) => self.changes.forwarded_for.as_deref().unwrap_or(value),
                _ => value,
            };
            if self.trace.is_some_and(|trace| trace.replaces(&key))
                || self.changes.removes(name)
                || key == b"HTTP_PROXY_AUTHORIZATION" && !self.pass_proxy_authorization
            {
                continue;
            }
            vars.put(variable, value);
        }
        if let Some(traceparent) = self.trace.and_then(|trace| trace.header()) {
            vars.put(Name::of(trace::VARIABLE), traceparent.as_bytes());
        }
    }
}

/// The pid of this Apache child. The system is asked once: the first request comes after the child was forked, and each
/// answer is a system call.
fn server_pid() -> u32 {
    static PID: OnceLock<u32> = OnceLock::new();
    *PID.get_or_init(process::id)
}

/// Variables that describe the request or the server and always come from Apache itself: SetEnv cannot replace them.
fn describes_request(id: u8) -> bool {
    matches!(
        id,
        names::REQUEST_METHOD..=names::REMOTE_PORT
            | names::SERVER_SOFTWARE..=names::SCRIPT_FILENAME
            | names::PROCESS_GROUP..=names::CONNECTION_ID
    )
}

fn trusted(r: &Request<'_>, declared: &[proxies::TrustedHeader], subnets: Option<&[proxies::Subnet]>) -> Changes {
    let headers = r.headers_in();
    let changes = proxies::apply(declared, subnets, r.client_ip(), |wanted| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value)| value)
    });
    if let Some(text) = &changes.no_address {
        let text = String::from_utf8_lossy(text).escape_debug().to_string();
        log::request(
            r,
            Topic::DEBUG,
            format_args!("'{text}', which a proxy's header gives for the client, is no IP address; REMOTE_ADDR stays"),
        );
    }
    changes
}

fn write_redirect(r: &Request<'_>, vars: &mut impl Variables) {
    let Some(parts) = r.redirected_from() else { return };
    for (name, value) in [&b"REDIRECT_URL"[..], b"REDIRECT_QUERY_STRING", b"REDIRECT_REMOTE_USER"].iter().zip(parts) {
        if let Some(value) = value {
            vars.put(Name::Text(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_describes_the_request_is_apaches() {
        for id in [names::REQUEST_METHOD, names::SERVER_NAME, names::PROCESS_GROUP, names::LISTENER_PORT] {
            assert!(describes_request(id));
        }
        for id in [names::CONTENT_TYPE, names::HTTP_HOST, names::REMOTE_USER, names::AUTH_TYPE, names::HTTPS] {
            assert!(!describes_request(id));
        }
    }
}
