//! Which pages may open WebSockets (`ws-origins`). A browser names the origin of the page in each handshake (RFC 6455
//! §10.2), and its user's cookies come along whoever's page it is.
#![forbid(unsafe_code)]

/// The pages that may open WebSockets of a process group. Who names no page is no browser, and always may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every page may.
    #[default]
    Any,
    /// The pages of the site that is asked.
    Same,
    /// The pages of these origins.
    List(Vec<PageOrigin>),
}

/// The origin of a page (RFC 6454 §6.1): scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOrigin {
    scheme: Vec<u8>,
    /// The host, and the port where it is not the scheme's own.
    authority: Vec<u8>,
}

impl AllowedOrigins {
    /// Parses the value of `ws-origins`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"any" => Some(Self::Any),
            b"same" => Some(Self::Same),
            list => {
                let origins = list.split(|byte| *byte == b',').map(|item| PageOrigin::parse(item.trim_ascii()));
                origins.collect::<Option<Vec<_>>>().map(Self::List)
            }
        }
    }

    /// Whether a page of this origin may open a WebSocket here: at this host, over TLS or not, as far as that is known
    /// behind a proxy.
    pub fn allow(&self, origin: Option<&[u8]>, host: &[u8], is_https: bool) -> bool {
        let (Some(origin), false) = (origin, *self == Self::Any) else { return true };
        // What is no origin, such as `null`, is nobody's.
        let Some(origin) = PageOrigin::parse(origin.trim_ascii()) else { return false };
        match self {
            Self::Any => true,
            Self::Same => origin.is_of(host, is_https),
            Self::List(origins) => origins.contains(&origin),
        }
    }
}

impl PageOrigin {
    /// Parses `scheme://host` or `scheme://host:port`.
    fn parse(text: &[u8]) -> Option<Self> {
        let at = text.windows(3).position(|three| three == b"://")?;
        let (scheme, authority) = (text[..at].to_ascii_lowercase(), &text[at + 3..]);
        let is_scheme = scheme.first().is_some_and(u8::is_ascii_lowercase)
            && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
        let authority = authority_of(&scheme, authority)?;
        is_scheme.then_some(Self { scheme, authority })
    }

    /// Whether it is the origin of this host's own pages. Where TLS ends before a proxy, this server may not know of
    /// it; but what is known to come over TLS is none of a page's that did not.
    fn is_of(&self, host: &[u8], is_https: bool) -> bool {
        let is_scheme = self.scheme == b"https" || self.scheme == b"http" && !is_https;
        is_scheme && authority_of(&self.scheme, host.trim_ascii()).as_ref() == Some(&self.authority)
    }
}

/// Checks a host with or without a port, and writes it as browsers do: in lower case, without the scheme's own port.
fn authority_of(scheme: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let text = text.to_ascii_lowercase();
    let end = match text.first() {
        Some(b'[') => text.iter().position(|byte| *byte == b']')? + 1,
        _ => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end);
    let is_host = match host {
        [b'[', address @ .., b']'] => {
            !address.is_empty() && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        name => !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)),
    };
    let port = match port {
        [] => None,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            Some(std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?)
        }
        _ => return None,
    };
    let usual = match scheme {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    };
    let port = port.filter(|port| Some(*port) != usual).map(|port| format!(":{port}")).unwrap_or_default();
    is_host.then(|| [host, port.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &str, origin: &str, host: &str, is_https: bool) -> bool {
        let allowed = AllowedOrigins::parse(allowed.as_bytes()).unwrap();
        allowed.allow(Some(origin.as_bytes()), host.as_bytes(), is_https)
    }

    #[test]
    fn a_list_has_origins_and_nothing_else() {
        for text in ["any", "same", "https://a.example", "HTTP://A:8000, capacitor://localhost", "http://[::1]:80"] {
            assert!(AllowedOrigins::parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            "Any",
            "a.example",
            "https://",
            "https://a/",
            "https://a,",
            "null",
            "https://u@a",
            "://a",
            "1a://b",
            "https://a:",
            "https://a:99999",
            "https://a b",
            "https://*.a",
            "https://[::1",
            "https://b\u{fc}cher",
        ] {
            assert_eq!(AllowedOrigins::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn origins_of_the_list_may_however_they_are_written() {
        let list = "https://shop.example,http://localhost:8000";
        for origin in ["https://shop.example", "HTTPS://Shop.Example:443", "http://localhost:8000"] {
            assert!(allows(list, origin, "other", true), "{origin}");
        }
        for origin in [
            "http://shop.example",
            "https://shop.example:8443",
            "https://evil-shop.example",
            "https://shop.example.evil",
            "http://localhost",
            "null",
            "",
            "https://shop.example, https://shop.example",
        ] {
            assert!(!allows(list, origin, "shop.example", true), "{origin}");
        }
    }

    #[test]
    fn pages_of_the_same_host_and_port_may() {
        for (origin, host, is_https) in [
            ("http://a.example", "a.example", false),
            ("http://a.example", "A.example:80", false),
            ("https://a.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example", "a.example", false),
            ("http://a.example:8000", "a.example:8000", false),
            ("http://[::1]:8000", "[::1]:8000", false),
        ] {
            assert!(allows("same", origin, host, is_https), "{origin} {host}");
        }
        for (origin, host, is_https) in [
            ("http://a.example", "a.example", true),
            ("http://a.example:8000", "a.example", false),
            ("http://b.example", "a.example", false),
            ("https://a.example", "a.example:80", false),
            ("capacitor://a.example", "a.example", false),
            ("null", "a.example", false),
            ("http://", "", false),
        ] {
            assert!(!allows("same", origin, host, is_https), "{origin} {host}");
        }
    }

    #[test]
    fn who_names_no_page_is_no_browser() {
        for allowed in [AllowedOrigins::Any, AllowedOrigins::Same, AllowedOrigins::List(Vec::new())] {
            assert!(allowed.allow(None, b"a", true));
        }
        assert!(AllowedOrigins::Any.allow(Some(b"null"), b"a", true));
    }
}
