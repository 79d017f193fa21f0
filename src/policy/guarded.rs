//! Files that an application guards: it answers with a header that names one, Apache sends it (`WSGISendfileRoot`).
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::path::percent_decoded;
use super::{alias, encoded_word};

/// One `WSGISendfileRoot`: a directory of which applications may have files sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The directory, absolute and without a slash at its end.
    pub directory: Vec<u8>,
    /// `url=`: below which URL an `X-Accel-Redirect` names its files.
    pub url: Option<Vec<u8>>,
}

/// How a response names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'h> {
    /// The file's path, in `X-Sendfile`.
    Path(&'h [u8]),
    /// A URL that stands for the file, in `X-Accel-Redirect`.
    Url(&'h [u8]),
}

impl<'h> Named<'h> {
    /// What a response header names, if it is one of those that name files.
    pub fn by(name: &[u8], value: &'h [u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"X-Sendfile") {
            Some(Self::Path(value))
        } else if name.eq_ignore_ascii_case(b"X-Accel-Redirect") {
            Some(Self::Url(value))
        } else {
            None
        }
    }

    /// Where the file may be: a directory and the rest of the way, which may still lead out of it. A path is tried in
    /// each of its [`readings`]; one that is not absolute is looked for below every root.
    pub fn places<'r>(self, roots: &'r [Root]) -> Vec<(&'r Root, Vec<u8>)> {
        match self {
            Self::Path(path) => {
                let below = |path: Cow<'_, [u8]>| {
                    roots.iter().filter_map(move |root| Some((root, below(root, &path)?))).collect::<Vec<_>>()
                };
                readings(path).into_iter().flat_map(below).collect()
            }
            Self::Url(url) => {
                let url = &url[..url.iter().position(|byte| *byte == b'?').unwrap_or(url.len())];
                let url = percent_decoded(url);
                let below = |root: &'r Root| {
                    let taken = alias::prefix(&url, root.url.as_deref()?)?;
                    relative(&url[taken..]).map(|rest| (root, rest))
                };
                roots.iter().filter_map(below).collect()
            }
        }
    }
}

/// What a path in a header may mean: itself; with its percent encoding undone, as mod_xsendfile does it; and, where it
/// has what no ASCII text has, as Django has written it: in Latin-1, or as an encoded word.
fn readings(path: &[u8]) -> Vec<Cow<'_, [u8]>> {
    if let Some(decoded) = encoded_word::decode(path) {
        return vec![decoded.into()];
    }
    let mut readings = vec![Cow::Borrowed(path)];
    if let decoded @ Cow::Owned(_) = percent_decoded(path) {
        readings.push(decoded);
    }
    if std::str::from_utf8(path).is_err() {
        let text: String = path.iter().map(|byte| char::from(*byte)).collect();
        readings.push(text.into_bytes().into());
    }
    readings
}

/// The rest of an absolute path below the root's directory, or the whole of another.
fn below(root: &Root, path: &[u8]) -> Option<Vec<u8>> {
    match path.strip_prefix(root.directory.as_slice()) {
        Some(rest) if rest.starts_with(b"/") => relative(rest),
        _ if path.starts_with(b"/") => None,
        _ => relative(path),
    }
}

/// Removes the slashes at the beginning of a path; `None` if nothing is left.
fn relative(path: &[u8]) -> Option<Vec<u8>> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    (!path.contains(&0)).then(|| path[start..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(named: Named<'_>) -> Vec<(String, String)> {
        let root = |directory: &str, url: Option<&str>| Root { directory: directory.into(), url: url.map(Into::into) };
        let roots = [root("/srv/a", Some("/files/")), root("/srv/b", None)];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        named.places(&roots).iter().map(|(root, rest)| (text(&root.directory), text(rest))).collect()
    }

    #[test]
    fn a_path_is_looked_for_below_the_roots_that_it_begins_with() {
        let place = |directory: &str, rest: &str| (directory.to_owned(), rest.to_owned());
        assert_eq!(places(Named::Path(b"/srv/a/x/y.txt")), [place("/srv/a", "x/y.txt")]);
        assert_eq!(places(Named::Path(b"/srv/b//y")), [place("/srv/b", "y")]);
        assert_eq!(places(Named::Path(b"y.txt")), [place("/srv/a", "y.txt"), place("/srv/b", "y.txt")]);
        assert_eq!(places(Named::Path(b"/srv/a/%41")), [place("/srv/a", "%41"), place("/srv/a", "A")]);
        assert_eq!(places(Named::Path(b"=?utf-8?q?/srv/a/=C5=82?=")), [place("/srv/a", "\u{142}")]);
        assert_eq!(places(Named::Path(b"/srv/b/\xfc")), [place("/srv/b", "\u{fffd}"), place("/srv/b", "\u{fc}")]);
        for nowhere in [&b"/srv/ab/x"[..], b"/srv/a", b"/srv/a/", b"/etc/passwd", b"/", b"", b"/srv/a/x%00y\0"] {
            assert_eq!(places(Named::Path(nowhere)), [], "{nowhere:?}");
        }
    }

    #[test]
    fn a_url_is_looked_for_below_the_root_that_has_one() {
        assert_eq!(places(Named::Url(b"/files/a%20b?x")), [("/srv/a".to_owned(), "a b".to_owned())]);
        for nowhere in [&b"/file/a"[..], b"/files", b"/files/", b"files/a", b"/files/%00"] {
            assert_eq!(places(Named::Url(nowhere)), [], "{nowhere:?}");
        }
    }
}
