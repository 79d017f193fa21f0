//! Names of groups with `%{…}` in them: `directives.md` §3.7.
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// The values that the names of groups may contain. They are asked for only when a name needs them.
pub trait Names {
    /// The `ServerName` of the server.
    fn server(&self) -> &[u8];
    /// The name in the Host header.
    fn host(&self) -> Option<&[u8]>;
    /// The configured port, or else the listening one. The Host header has no say: each port would be another
    /// interpreter.
    fn port(&self) -> u16;
    /// SCRIPT_NAME with single slashes; in small letters where file names do not differ by case.
    fn script_name(&self) -> Cow<'_, [u8]>;
    /// A note, a variable of the request, or one of the process: in this order.
    fn variable(&self, name: &[u8]) -> Option<Vec<u8>>;
}

/// What a name is for: `%{RESOURCE}` is for application groups only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The name of a process group: `WSGIProcessGroup`, `process-group=`.
    Process,
    /// The name of an application group: `WSGIApplicationGroup`, `application-group=`.
    Application,
    /// `application-group=` of a script that is asked about requests. There is no resource yet, and `%{ENV:x}` means
    /// nothing in it either.
    Asked,
}

/// Expands the name of a group for one request. A `%` that begins no expansion stays as it is written.
pub fn group<'v>(kind: Kind, value: &'v [u8], names: &dyn Names) -> Cow<'v, [u8]> {
    if !value.starts_with(b"%") {
        return Cow::Borrowed(value);
    }
    if let Some(variable) = environment_name(value).filter(|_| kind != Kind::Asked) {
        let Some(found) = names.variable(variable) else { return Cow::Borrowed(value) };
        // What a variable holds is expanded once more, but never another variable.
        return Cow::Owned(token(kind, &found, names).map_or_else(|| found.clone(), Cow::into_owned));
    }
    token(kind, value, names).unwrap_or(Cow::Borrowed(value))
}

fn token(kind: Kind, value: &[u8], names: &dyn Names) -> Option<Cow<'static, [u8]>> {
    let name = match value {
        b"%{GLOBAL}" => Vec::new(),
        b"%{SERVER}" => with_port(names.server(), names.port()),
        b"%{HOST}" => with_port(names.host().filter(|h| !h.is_empty()).unwrap_or(names.server()), names.port()),
        b"%{RESOURCE}" if kind == Kind::Application => {
            let mut name = with_port(names.server(), names.port());
            name.push(b'|');
            name.extend_from_slice(&names.script_name());
            name
        }
        _ => return None,
    };
    Some(Cow::Owned(name))
}

/// Expands `WSGICallableObject`: only `%{ENV:x}` means something, every other `%` stands for the default.
pub fn callable<'v>(value: &'v [u8], names: &dyn Names) -> Cow<'v, [u8]> {
    const DEFAULT: &[u8] = b"application";
    if !value.starts_with(b"%") {
        return Cow::Borrowed(value);
    }
    match environment_name(value).and_then(|name| names.variable(name)) {
        Some(found) if !found.starts_with(b"%") => Cow::Owned(found),
        _ => Cow::Borrowed(DEFAULT),
    }
}

fn environment_name(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"%{ENV:")?.strip_suffix(b"}")
}

fn with_port(name: &[u8], port: u16) -> Vec<u8> {
    let mut out = name.to_vec();
    if port != 80 && port != 443 {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample {
        port: u16,
        host: Option<&'static [u8]>,
    }

    impl Names for Sample {
        fn server(&self) -> &[u8] {
            b"example.com"
        }
        fn host(&self) -> Option<&[u8]> {
            self.host
        }
        fn port(&self) -> u16 {
            self.port
        }
        fn script_name(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(b"/app")
        }
        fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
            match name {
                b"GROUP" => Some(b"red".to_vec()),
                b"AGAIN" => Some(b"%{SERVER}".to_vec()),
                b"LOOP" => Some(b"%{ENV:GROUP}".to_vec()),
                _ => None,
            }
        }
    }

    #[test]
    fn groups_are_expanded_as_specified() {
        let names = Sample { port: 8000, host: Some(b"www") };
        let rows = [
            ("plain", "plain", "plain"),
            ("a%{SERVER}", "a%{SERVER}", "a%{SERVER}"),
            ("%{GLOBAL}", "", ""),
            ("%{SERVER}", "example.com:8000", "example.com:8000"),
            ("%{HOST}", "www:8000", "www:8000"),
            ("%{RESOURCE}", "%{RESOURCE}", "example.com:8000|/app"),
            ("%{ENV:GROUP}", "red", "red"),
            ("%{ENV:AGAIN}", "example.com:8000", "example.com:8000"),
            ("%{ENV:LOOP}", "%{ENV:GROUP}", "%{ENV:GROUP}"),
            ("%{ENV:NONE}", "%{ENV:NONE}", "%{ENV:NONE}"),
            ("%{OTHER}", "%{OTHER}", "%{OTHER}"),
        ];
        for (value, process, application) in rows {
            assert_eq!(&*group(Kind::Process, value.as_bytes(), &names), process.as_bytes(), "{value}");
            assert_eq!(&*group(Kind::Application, value.as_bytes(), &names), application.as_bytes(), "{value}");
            let is_for_all = ["%{GLOBAL}", "%{SERVER}", "%{HOST}"].contains(&value);
            let asked = if is_for_all { application } else { value };
            assert_eq!(&*group(Kind::Asked, value.as_bytes(), &names), asked.as_bytes(), "{value}");
        }
    }

    #[test]
    fn usual_ports_and_missing_hosts_are_left_out() {
        let names = Sample { port: 443, host: Some(b"") };
        assert_eq!(&*group(Kind::Application, b"%{HOST}", &names), b"example.com");
        assert_eq!(&*group(Kind::Application, b"%{RESOURCE}", &names), b"example.com|/app");
    }

    #[test]
    fn callables_know_variables_only() {
        let names = Sample { port: 80, host: None };
        let rows = [
            ("main", "main"),
            ("%{ENV:GROUP}", "red"),
            ("%{ENV:NONE}", "application"),
            ("%{GLOBAL}", "application"),
            ("%{ENV:AGAIN}", "application"),
        ];
        for (value, expected) in rows {
            assert_eq!(&*callable(value.as_bytes(), &names), expected.as_bytes());
        }
    }
}
