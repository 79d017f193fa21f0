//! Matching URLs against alias prefixes, by the rule of mod_alias.
#![forbid(unsafe_code)]

/// How much of `uri` the alias takes, or `None` if it is not for this URL. Each run of `/` in the alias takes any run
/// of `/`; whatever else must be the same; a match ends at the end of a path segment, unless the alias itself ends in
/// `/`.
pub fn prefix(uri: &[u8], alias: &[u8]) -> Option<usize> {
    let (mut at, mut rest) = (0, alias);
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b'/' {
            let run = slashes(&uri[at..]);
            if run == 0 {
                return None;
            }
            at += run;
            rest = &rest[slashes(rest)..];
        } else {
            if uri.get(at) != Some(byte) {
                return None;
            }
            at += 1;
            rest = tail;
        }
    }
    let ends_segment = alias.ends_with(b"/") || uri.get(at).is_none_or(|b| *b == b'/');
    (at > 0 && ends_segment).then_some(at)
}

fn slashes(text: &[u8]) -> usize {
    text.iter().take_while(|b| **b == b'/').count()
}

/// The file for a URL of which the alias took `taken` bytes. The alias `/` keeps the whole URL, so that the rest begins
/// with a slash.
pub fn filename(target: &[u8], uri: &[u8], alias: &[u8], taken: usize) -> Vec<u8> {
    let rest = if alias == b"/" { uri } else { &uri[taken..] };
    [target, rest].concat()
}

/// Whether this is a path from a `/` on in which no segment is empty, but for the last, or goes elsewhere.
pub fn is_plain_path(path: &[u8]) -> bool {
    let Some(path) = path.strip_prefix(b"/") else { return false };
    let segments = path.strip_suffix(b"/").unwrap_or(path);
    path.is_empty() || segments.split(|b| *b == b'/').all(|segment| !matches!(segment, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_whole_segments() {
        let rows = [
            ("/", "/", Some(1)),
            ("/x/y", "/", Some(1)),
            ("/d", "/d", Some(2)),
            ("/d/", "/d", Some(2)),
            ("/d/a", "/d", Some(2)),
            ("/data", "/d", None),
            ("/D", "/d", None),
            ("/", "/d", None),
            ("/apps/one.wsgi/x", "/apps/", Some(6)),
            ("/apps", "/apps/", None),
            ("//d//a", "/d", Some(3)),
            ("///a///b/c", "/a/b", Some(8)),
            ("/a/b", "//a", Some(2)),
            ("", "/", None),
            ("/a", "", None),
        ];
        for (uri, alias, taken) in rows {
            assert_eq!(prefix(uri.as_bytes(), alias.as_bytes()), taken, "{uri} {alias}");
        }
    }

    #[test]
    fn plain_paths_are_what_a_file_system_leaves_as_it_is() {
        for path in ["/", "/a", "/a/", "/a/b.c/...", "/.a"] {
            assert!(is_plain_path(path.as_bytes()), "{path}");
        }
        for path in ["", "a", "//", "/a//", "//a", "/a//b", "/.", "/./", "/a/../b", "/.."] {
            assert!(!is_plain_path(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_rest_of_the_url_follows_the_target() {
        assert_eq!(filename(b"/s/a.wsgi", b"/d/x/y", b"/d", 2), b"/s/a.wsgi/x/y");
        assert_eq!(filename(b"/s/a.wsgi", b"/x/y", b"/", 1), b"/s/a.wsgi/x/y");
        assert_eq!(filename(b"/s/", b"/apps/one.wsgi", b"/apps/", 6), b"/s/one.wsgi");
        assert_eq!(filename(b"/s/a.wsgi", b"//x", b"/", 2), b"/s/a.wsgi//x");
    }
}
