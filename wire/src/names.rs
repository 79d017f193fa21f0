//! Names of environ keys that both halves know by number, so that neither spells nor hashes them for each request.

/// A key of the environ: one of [`KNOWN`] by its index, or written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// The index of the name in [`KNOWN`].
    Known(u8),
    /// Any other name, as bytes (latin-1 in Python).
    Text(&'a [u8]),
}

impl<'a> Name<'a> {
    /// Makes the shortest form of a name.
    pub fn of(text: &'a [u8]) -> Self {
        known(text).map_or(Name::Text(text), Name::Known)
    }

    /// The name, written out.
    pub fn text(self) -> &'a [u8] {
        match self {
            Name::Known(id) => KNOWN.get(id as usize).map_or(b"", |s| s.as_bytes()),
            Name::Text(text) => text,
        }
    }
}

/// Declares a table of names that travel as numbers.
macro_rules! numbered {
    ($($id:literal $constant:ident = $text:literal,)*) => {
        /// The names that travel as numbers, by number.
        pub const KNOWN: &[&str] = &[$($text),*];
        $(
            #[doc = concat!("`", $text, "`")]
            pub const $constant: u8 = $id;
        )*

        /// The number of a name. Compiles to comparisons of lengths with constants; texts are compared only where the
        /// length fits.
        pub fn known(text: &[u8]) -> Option<u8> {
            match text {
                $(_ if text == $text.as_bytes() => Some($id),)*
                _ => None,
            }
        }

        #[cfg(test)]
        #[test]
        fn numbers_and_texts_agree() {
            for (i, text) in KNOWN.iter().enumerate() {
                assert_eq!(known(text.as_bytes()), Some(i as u8), "{text}");
            }
        }
    };
}
pub(crate) use numbered;

macro_rules! explained {
    ($($id:literal $constant:ident = $text:literal $meaning:literal,)*) => {
        numbered! { $($id $constant = $text,)* }
        /// The meanings of these names, for the documentation; empty for headers of the request.
        pub const MEANINGS: &[&str] = &[$($meaning),*];
    };
}

explained! {
    0 REQUEST_METHOD = "REQUEST_METHOD" "the method; `GET` in place of `HEAD` where [`WSGIMapHEADToGET`](directives.md) says so",
    1 REQUEST_URI = "REQUEST_URI" "path and query as the client wrote them",
    2 QUERY_STRING = "QUERY_STRING" "what follows the `?`",
    3 SCRIPT_NAME = "SCRIPT_NAME" "the URL at which the application is mounted; empty at the root of the site",
    4 PATH_INFO = "PATH_INFO" "the rest of the path, without escapes",
    5 SERVER_PROTOCOL = "SERVER_PROTOCOL" "such as `HTTP/1.1`",
    6 REMOTE_ADDR = "REMOTE_ADDR" "the client's address; with `WSGITrustedProxies` that which the proxy tells",
    7 REMOTE_PORT = "REMOTE_PORT" "the client's port",
    8 CONTENT_TYPE = "CONTENT_TYPE" "the type of the request's body",
    9 CONTENT_LENGTH = "CONTENT_LENGTH" "its length, that of the body that an input filter has expanded; absent where nobody knows",
    10 HTTP_HOST = "HTTP_HOST" "",
    11 HTTP_USER_AGENT = "HTTP_USER_AGENT" "",
    12 HTTP_ACCEPT = "HTTP_ACCEPT" "",
    13 HTTP_ACCEPT_ENCODING = "HTTP_ACCEPT_ENCODING" "",
    14 HTTP_ACCEPT_LANGUAGE = "HTTP_ACCEPT_LANGUAGE" "",
    15 HTTP_CONNECTION = "HTTP_CONNECTION" "",
    16 HTTP_COOKIE = "HTTP_COOKIE" "",
    17 HTTP_REFERER = "HTTP_REFERER" "",
    18 HTTP_AUTHORIZATION = "HTTP_AUTHORIZATION" "",
    19 HTTP_CACHE_CONTROL = "HTTP_CACHE_CONTROL" "",
    20 HTTP_X_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR" "",
    21 HTTP_X_FORWARDED_PROTO = "HTTP_X_FORWARDED_PROTO" "",
    22 HTTP_X_FORWARDED_HOST = "HTTP_X_FORWARDED_HOST" "",
    23 HTTP_IF_MODIFIED_SINCE = "HTTP_IF_MODIFIED_SINCE" "",
    24 HTTP_IF_NONE_MATCH = "HTTP_IF_NONE_MATCH" "",
    25 HTTP_ORIGIN = "HTTP_ORIGIN" "",
    26 HTTP_UPGRADE_INSECURE_REQUESTS = "HTTP_UPGRADE_INSECURE_REQUESTS" "",
    27 HTTP_SEC_FETCH_DEST = "HTTP_SEC_FETCH_DEST" "",
    28 HTTP_SEC_FETCH_MODE = "HTTP_SEC_FETCH_MODE" "",
    29 HTTP_SEC_FETCH_SITE = "HTTP_SEC_FETCH_SITE" "",
    30 HTTP_SEC_FETCH_USER = "HTTP_SEC_FETCH_USER" "",
    31 HTTP_X_REQUESTED_WITH = "HTTP_X_REQUESTED_WITH" "",
    32 SERVER_SOFTWARE = "SERVER_SOFTWARE" "as in the header `Server`",
    33 SERVER_NAME = "SERVER_NAME" "the site's name: the configured one, or with `UseCanonicalName Off` that of the header `Host`",
    34 SERVER_ADDR = "SERVER_ADDR" "the address at which the request came",
    35 SERVER_PORT = "SERVER_PORT" "the site's port",
    36 SERVER_ADMIN = "SERVER_ADMIN" "`ServerAdmin`",
    37 DOCUMENT_ROOT = "DOCUMENT_ROOT" "`DocumentRoot`, as the process sees it",
    38 REQUEST_SCHEME = "REQUEST_SCHEME" "`http` or `https`, as Apache has it",
    39 CONTEXT_PREFIX = "CONTEXT_PREFIX" "the prefix of the `Alias` that was used; else empty",
    40 CONTEXT_DOCUMENT_ROOT = "CONTEXT_DOCUMENT_ROOT" "the directory of that `Alias`; else `DocumentRoot`",
    41 SCRIPT_FILENAME = "SCRIPT_FILENAME" "the script, or the file that a handler was asked for",
    42 REMOTE_USER = "REMOTE_USER" "the user, where Apache has asked for a password",
    43 AUTH_TYPE = "AUTH_TYPE" "how: `Basic`, `Digest`",
    44 HTTPS = "HTTPS" "becomes `wsgi.url_scheme`, and no key",
    45 PROCESS_GROUP = "mod_wsgi.process_group" "the process group; empty in embedded mode",
    46 APPLICATION_GROUP = "mod_wsgi.application_group" "the interpreter; empty is the main one",
    47 CALLABLE_OBJECT = "mod_wsgi.callable_object" "the application's name in its script",
    48 REQUEST_HANDLER = "mod_wsgi.request_handler" "the handler: `wsgi-script` or one of your own",
    49 HANDLER_SCRIPT = "mod_wsgi.handler_script" "the script of [`WSGIHandlerScript`](directives.md); else empty",
    50 ORIGINAL_SCRIPT_NAME = "mod_wsgi.script_name" "`SCRIPT_NAME` before a proxy's header took its place",
    51 ORIGINAL_PATH_INFO = "mod_wsgi.path_info" "`PATH_INFO`, likewise",
    52 MOUNT_POINT = "mod_wsgi.mount_point" "where a proxy says that the application is mounted",
    53 LISTENER_HOST = "mod_wsgi.listener_host" "the address of the `Listen` that was used; empty is all",
    54 LISTENER_PORT = "mod_wsgi.listener_port" "its port",
    55 SERVER_PID = "mod_wsgi.server_pid" "the Apache child that has the request",
    56 REQUEST_ID = "mod_wsgi.request_id" "Apache's id of the request (`%L`)",
    57 CONNECTION_ID = "mod_wsgi.connection_id" "Apache's id of the connection (`%{c}L`)",
}

/// A set of known names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ids(u64);

const _: () = assert!(KNOWN.len() <= u64::BITS as usize);

impl Ids {
    /// Adds a name of [`KNOWN`] by its index.
    pub fn add(&mut self, id: u8) {
        self.0 |= 1u64.checked_shl(id.into()).unwrap_or(0);
    }

    /// The names of this set that the other set lacks.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let id = (left != 0).then(|| left.trailing_zeros() as u8)?;
            left &= left - 1;
            Some(id)
        })
    }
}

/// The number that marks names which are written out.
pub(crate) const SPELLED: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_a_number_and_its_text() {
        for text in KNOWN {
            assert_eq!(Name::of(text.as_bytes()).text(), text.as_bytes());
        }
        assert_eq!(KNOWN[CONNECTION_ID as usize], "mod_wsgi.connection_id");
        assert_eq!(KNOWN[HTTPS as usize], "HTTPS");
        assert!(KNOWN.len() < SPELLED as usize);
    }

    #[test]
    fn what_one_set_has_and_another_has_not() {
        let set = |ids: &[u8]| {
            let mut set = Ids::default();
            ids.iter().for_each(|id| set.add(*id));
            set
        };
        let left = set(&[CONNECTION_ID, 9, 0, 16, SPELLED]).without(set(&[9, 10]));
        assert_eq!(left.iter().collect::<Vec<_>>(), [0, 16, CONNECTION_ID]);
        assert_eq!(set(&[3]).without(set(&[3])).iter().count(), 0);
    }

    #[test]
    fn other_names_stay_text() {
        assert_eq!(Name::of(b"HTTP_X_OTHER"), Name::Text(b"HTTP_X_OTHER"));
        assert_eq!(Name::of(b""), Name::Text(b""));
    }
}
