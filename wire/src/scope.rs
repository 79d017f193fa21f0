//! Names of what an ASGI application is told about a request: the second table of names, in the place of
//! [`crate::names`] where the route's interface is ASGI. Those of the scope begin with a colon, which no header's does;
//! variables of Apache's environment follow `env:`.

use crate::names::{Name, numbered};

/// What a variable of Apache's environment is called begins with this.
pub const ENVIRONMENT: &[u8] = b"env:";

numbered! {
    0 METHOD = ":method",
    1 PATH = ":path",
    2 RAW_PATH = ":raw_path",
    3 QUERY = ":query",
    4 ROOT = ":root",
    5 HTTP = ":http",
    6 SCHEME = ":scheme",
    7 CLIENT = ":client",
    8 CLIENT_PORT = ":client_port",
    9 SERVER = ":server",
    10 SERVER_PORT = ":server_port",
    11 REQUEST_ID = ":id",
    12 TLS_VERSION = ":tls_version",
    13 TLS_CIPHER = ":tls_cipher",
    14 HOST = "host",
    15 USER_AGENT = "user-agent",
    16 ACCEPT = "accept",
    17 ACCEPT_ENCODING = "accept-encoding",
    18 ACCEPT_LANGUAGE = "accept-language",
    19 CONNECTION = "connection",
    20 COOKIE = "cookie",
    21 REFERER = "referer",
    22 AUTHORIZATION = "authorization",
    23 CACHE_CONTROL = "cache-control",
    24 CONTENT_TYPE = "content-type",
    25 CONTENT_LENGTH = "content-length",
    26 X_FORWARDED_FOR = "x-forwarded-for",
    27 X_FORWARDED_PROTO = "x-forwarded-proto",
    28 X_FORWARDED_HOST = "x-forwarded-host",
    29 IF_MODIFIED_SINCE = "if-modified-since",
    30 IF_NONE_MATCH = "if-none-match",
    31 ORIGIN = "origin",
    32 UPGRADE_INSECURE_REQUESTS = "upgrade-insecure-requests",
    33 SEC_FETCH_DEST = "sec-fetch-dest",
    34 SEC_FETCH_MODE = "sec-fetch-mode",
    35 SEC_FETCH_SITE = "sec-fetch-site",
    36 SEC_FETCH_USER = "sec-fetch-user",
    37 X_REQUESTED_WITH = "x-requested-with",
    38 TRANSFER_ENCODING = "transfer-encoding",
    39 PRIORITY = "priority",
}

/// The first number that is a header's.
pub const FIRST_HEADER: u8 = HOST;

// The decoder knows the bound of the other table only.
const _: () = assert!(KNOWN.len() <= crate::names::KNOWN.len());

/// The shortest form of a header's name, which is in lower case.
pub fn header(name: &[u8]) -> Name<'_> {
    match name {
        [b':', ..] => Name::Text(name),
        _ => known(name).map_or(Name::Text(name), Name::Known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apache_says_begins_with_a_colon_and_no_header_does() {
        for (i, text) in KNOWN.iter().enumerate() {
            assert_eq!(text.starts_with(':'), i < FIRST_HEADER.into(), "{text}");
        }
    }

    #[test]
    fn no_header_is_taken_for_what_apache_says() {
        assert_eq!(header(b"host"), Name::Known(HOST));
        for name in [&b":method"[..], b"x-other", b""] {
            assert_eq!(header(name), Name::Text(name));
        }
    }
}
