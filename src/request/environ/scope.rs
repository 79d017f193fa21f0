//! The same request as ASGI applications are told of it: [`wsgi_wire::scope`].

use wsgi_wire::names::Name;
use wsgi_wire::scope as names;

use super::{ContentLength, Environ, Variables, describes_request};
use crate::httpd::request::Request;
use crate::policy::trace;
use crate::request::decimal::Decimal;

/// What is between the words of a request line and a path: `http://host` of the form that proxies get.
fn path_of(target: &[u8]) -> &[u8] {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or(target);
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let is = path.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        is.then(|| &path[scheme.len()..])
    });
    match rest {
        Some(rest) => rest.iter().position(|byte| *byte == b'/').map_or(b"/", |at| &rest[at..]),
        None => path,
    }
}

/// A header's name in lower case; `false` if it is none for applications: one with other characters than letters,
/// digits and `-` is kept from those of WSGI as well, for which it could imitate another one.
fn header_name(header: &[u8], name: &mut Vec<u8>) -> bool {
    name.clear();
    name.extend(header.iter().map(u8::to_ascii_lowercase));
    header.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

impl<'r> Environ<'r> {
    /// Writes what does not vary.
    pub fn write_scope_route(&self, vars: &mut impl Variables) {
        if self.canonical {
            self.put_scope_server(vars);
        }
        if self.destination.fixed_mount {
            vars.put(Name::Known(names::ROOT), &self.script_name);
        }
    }

    fn put_scope_server(&self, vars: &mut impl Variables) {
        vars.put(Name::Known(names::SERVER), self.server_name);
        vars.put(Name::Known(names::SERVER_PORT), Decimal::of(self.server_port).as_bytes());
    }

    /// Writes what varies. Headers come in the client's order.
    pub fn write_scope(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        let mut put = |id: u8, value: &[u8]| vars.put(Name::Known(id), value);
        let root = self.changes.script_name.as_deref().unwrap_or(&self.script_name);
        put(names::METHOD, self.method);
        // A handler's own script name is the file's path, which says nothing of where the application is mounted.
        let file = if self.mounts_handler() { &self.script_name[..] } else { b"" };
        put(names::PATH, &[root, file, &self.path_info].concat());
        put(names::RAW_PATH, path_of(self.request_uri));
        put(names::QUERY, r.query());
        put(
            names::HTTP,
            r.protocol()
                .strip_prefix(b"HTTP/")
                .map_or(b"1.1", |version| version.strip_suffix(b".0").filter(|it| *it != b"1").unwrap_or(version)),
        );
        put(names::SCHEME, if self.https == Some(true) { b"https" } else { b"http" });
        put(names::CLIENT, self.changes.remote_addr.as_deref().unwrap_or(r.client_ip()));
        put(names::CLIENT_PORT, Decimal::of(r.client_port()).as_bytes());
        put(names::REQUEST_ID, self.request_id);
        if !self.destination.fixed_mount || self.changes.script_name.is_some() {
            put(names::ROOT, root);
        }
        if r.is_https() {
            for (id, name) in [(names::TLS_VERSION, &b"SSL_PROTOCOL"[..]), (names::TLS_CIPHER, b"SSL_CIPHER")] {
                put(id, r.ssl_variable(name).unwrap_or(b""));
            }
        }
        if !self.canonical {
            self.put_scope_server(vars);
        }
        let server = [(names::SERVER, &self.changes.server_name), (names::SERVER_PORT, &self.changes.server_port)];
        for (id, value) in server {
            if let Some(value) = value {
                vars.put(Name::Known(id), value);
            }
        }
        self.write_scope_headers(r, length, vars);
        self.write_scope_environment(r, vars);
    }

    /// The host that the client has asked for, and whether it has over TLS, as the application is told.
    pub fn asked_host<'s>(&'s self, r: &'s Request<'_>) -> (&'s [u8], bool) {
        let host = self.changes.host.as_deref().or_else(|| r.headers_in().get(c"Host"));
        (host.unwrap_or_default(), self.https == Some(true))
    }

    /// Whether a proxy says where the application behind a handler is mounted.
    fn mounts_handler(&self) -> bool {
        self.changes.script_name.is_some() && self.destination.handler_script.is_some()
    }

    fn write_scope_headers(&self, r: &Request<'r>, length: ContentLength, vars: &mut impl Variables) {
        let mut name = Vec::with_capacity(64);
        let mut has_host = false;
        for (header, value) in r.headers_in().iter() {
            if !header_name(header, &mut name) || self.changes.removes(header) {
                continue;
            }
            let value = match &name[..] {
                b"content-length" if length != ContentLength::AsSent => continue,
                b"authorization" if !self.pass_authorization => continue,
                b"proxy-authorization" if !self.pass_proxy_authorization => continue,
                b"traceparent" if self.trace.is_some_and(|trace| trace.replaces(trace::VARIABLE)) => continue,
                b"x-forwarded-for" => self.changes.forwarded_for.as_deref().unwrap_or(value),
                b"host" => {
                    has_host = true;
                    self.changes.host.as_deref().unwrap_or(value)
                }
                _ => value,
            };
            vars.put(names::header(&name), value);
        }
        if let (false, Some(host)) = (has_host, &self.changes.host) {
            vars.put(Name::Known(names::HOST), host);
        }
        if let ContentLength::Real(length) = length {
            vars.put(Name::Known(names::CONTENT_LENGTH), length.to_string().as_bytes());
        }
        if let Some(traceparent) = self.trace.and_then(|trace| trace.header()) {
            vars.put(Name::Text(b"traceparent"), traceparent.as_bytes());
        }
    }

    /// Writes the variables of SetEnv and other modules, who the user is, and for a handler where a proxy mounts it.
    fn write_scope_environment(&self, r: &Request<'r>, vars: &mut impl Variables) {
        let mut put = |name: &[u8], value: &[u8]| vars.put(Name::Text(&[names::ENVIRONMENT, name].concat()), value);
        for (name, value) in r.environment().iter() {
            let ours = match Name::of(name) {
                Name::Known(id) => describes_request(id),
                Name::Text(text) => text == b"PATH",
            };
            if !ours {
                put(name, value);
            }
        }
        let user = [(&b"REMOTE_USER"[..], r.user()), (b"AUTH_TYPE", r.auth_type())];
        for (name, value) in user {
            if let Some(value) = value {
                put(name, value);
            }
        }
        if let (true, Some(mount_point)) = (self.mounts_handler(), &self.changes.script_name) {
            put(b"mod_wsgi.mount_point", mount_point);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_path_is_that_of_the_request_line() {
        for (target, path) in [
            ("/a%20b?c=d", "/a%20b"),
            ("/", "/"),
            ("http://host/a?b", "/a"),
            ("HTTP://host:80", "/"),
            ("*", "*"),
            ("/http://x", "/http://x"),
        ] {
            assert_eq!(path_of(target.as_bytes()), path.as_bytes(), "{target}");
        }
    }

    #[test]
    fn headers_are_in_lower_case_and_none_imitates_another() {
        let mut name = Vec::new();
        assert!(header_name(b"X-Custom-1", &mut name) && name == b"x-custom-1");
        for refused in ["X_User", "X.Other", "X Y", ":method", "env:x"] {
            assert!(!header_name(refused.as_bytes(), &mut name), "{refused}");
        }
    }
}
