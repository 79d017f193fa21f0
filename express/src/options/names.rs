//! Names of hosts, and of what is no name of an application.

use std::net::Ipv6Addr;

use super::application::is_dotted;
use super::check::{Result, invalid};
use super::server::{Options, pairs};

/// What is right for a name.
const NAME: &str = "it is the name of a host alone, such as www.example.com: no scheme, port or path, and letters beyond \
                    a to z as the DNS has them (xn--…)";

/// What to write for a function that makes the application.
pub const FACTORY: &str = "a function that makes the application is not called: write `application = create_app()`, with its \
                           name, at the end of the module or into a script of its own, and name that";

impl Options {
    /// Checks the names of hosts, and that the application is one, not a call.
    pub(super) fn check_hosts(&self) -> Result {
        let Self { address, https, proxying, application, .. } = self;
        let one = address.server_name.iter().map(|name| ("--server-name", name.clone(), false));
        let aliases = address.server_alias.iter().map(|name| ("--server-alias", name.clone(), true));
        let certified = pairs(&https.alias_certificate).map(|(name, _)| ("--alias-certificate", name.to_owned(), true));
        let proxied =
            pairs(&proxying.proxy_virtual_host).map(|(name, _)| ("--proxy-virtual-host", name.to_owned(), true));
        let acme = https.acme_domain.iter().map(|name| ("--acme-domain", name.clone(), false));
        let mut all = one.chain(aliases).chain(certified).chain(proxied).chain(acme);
        if let Some((option, name, _)) = all.find(|(_, name, wild)| !is_host(name, *wild)) {
            return Err(invalid(option, name, NAME));
        }
        let entry = application.entry_point.as_ref().or(application.entry.as_ref());
        match entry.filter(|entry| is_call(entry)) {
            Some(call) => Err(invalid("the application", call, FACTORY)),
            None => Ok(()),
        }
    }
}

/// Whether this is the name of a host, or a pattern of such names.
fn is_host(name: &str, may_be_pattern: bool) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || may_be_pattern && matches!(c, '*' | '?');
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && label.chars().all(known);
    name.strip_suffix('.').unwrap_or(name).split('.').all(label)
}

/// Whether this is `MODULE:FUNCTION(…)`, as gunicorn takes it.
fn is_call(entry: &str) -> bool {
    let named = |call: &str| call.ends_with(')') && call.split_once('(').is_some_and(|(name, _)| is_dotted(name));
    entry.split_once(':').is_some_and(|(module, call)| is_dotted(module) && named(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_have_neither_scheme_nor_port_nor_path() {
        for name in ["localhost", "www.example.com", "a_b.test", "xn--bcher-kva.example", "192.0.2.1", "[::1]", "x."] {
            assert!(is_host(name, false), "{name}");
        }
        for name in ["a/b", "https://a", "a:80", "a b", "", "a..b", "-a", "*.a", "bücher.example", "[x]", "::1"] {
            assert!(!is_host(name, false), "{name}");
        }
        assert!(is_host("*.example.com", true) && is_host("shop?.test", true));
    }

    #[test]
    fn a_call_is_no_name() {
        assert!(is_call("app:create_app()") && is_call("a.b:make('x')"));
        assert!(!is_call("app:app") && !is_call("odd(1).wsgi") && !is_call("C:/a(b)"));
    }
}
