//! The variables of a request for others than the application: what `%{SCRIPT_NAME}e` in a log or a header, a Lua
//! script, or the document for an error finds. Applications get theirs over the wire, so that Apache's own table is
//! filled only where somebody looks at it.
#![forbid(unsafe_code)]

use wsgi_wire::names::Name;

use super::environ::{ContentLength, Environ, Variables};
use crate::httpd::request::Request;
use crate::policy::acceptance::BodyLength;
use crate::policy::observed_variables::ObservedVariables;

/// Collects those variables that are observed, for Apache's own table, which is changed only when nothing of the
/// request is being read any more.
struct Filling<'w> {
    found: Vec<(Vec<u8>, Vec<u8>)>,
    /// The variables that are observed; `None` for all of them.
    observed: Option<&'w ObservedVariables>,
}

impl Variables for Filling<'_> {
    fn put(&mut self, name: Name<'_>, value: &[u8]) {
        let name = name.text();
        if self.observed.is_none_or(|observed| observed.has(name)) {
            self.found.push((name.to_vec(), value.to_vec()));
        }
    }
}

/// Fills in what the configuration looks at, before the application runs: headers are written while it does.
pub fn fill_observed<'r>(r: &mut Request<'r>, environ: &Environ<'r>, length: BodyLength, observed: &ObservedVariables) {
    // Nobody has read what a .htaccess file says.
    if observed.is_everything() || r.has_htaccess() {
        fill(r, environ, length);
    } else if !observed.is_nothing() {
        write(r, environ, length, Some(observed));
    }
}

/// Fills in all variables, where Apache is about to serve another URL in place of the response with this status: that
/// URL sees them as `REDIRECT_…`.
pub fn fill_for_error_document<'r>(r: &mut Request<'r>, environ: &Environ<'r>, length: BodyLength, status: u16) {
    if status >= 400 && r.has_local_error_document(status) {
        fill(r, environ, length);
    }
}

/// Fills in all variables of the environ.
pub fn fill<'r>(r: &mut Request<'r>, environ: &Environ<'r>, length: BodyLength) {
    write(r, environ, length, None);
}

/// Looks one variable up that an application would find in its environ.
pub fn find<'r>(r: &Request<'r>, environ: &Environ<'r>, name: &[u8]) -> Option<Vec<u8>> {
    let mut search = Search { name, found: None };
    environ.write_route(r, &mut search);
    environ.write_own(r, ContentLength::AsSent, &mut search);
    search.found
}

/// Takes one variable and leaves all others.
struct Search<'n> {
    name: &'n [u8],
    found: Option<Vec<u8>>,
}

impl Variables for Search<'_> {
    fn put(&mut self, name: Name<'_>, value: &[u8]) {
        if name.text() == self.name {
            self.found = Some(value.to_vec());
        }
    }
}

fn write<'r>(r: &mut Request<'r>, environ: &Environ<'r>, length: BodyLength, observed: Option<&ObservedVariables>) {
    let mut vars = Filling { found: Vec::new(), observed };
    // The header may have been taken away together with the body.
    let length = match length {
        BodyLength::Known(length) if length > 0 => ContentLength::Real(length),
        _ => ContentLength::AsSent,
    };
    environ.write_route(r, &mut vars);
    environ.write_own(r, length, &mut vars);
    let mut table = r.environment_mut();
    vars.found.iter().for_each(|(name, value)| table.replace(name, value));
}
