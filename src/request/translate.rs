//! `translate_name`: from URLs to scripts.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;

use super::decimal::Decimal;
use crate::directives::settings::ServerSettings;
use crate::directives::settings::{Alias, Pattern};
use crate::httpd::HookStatus;
use crate::httpd::request::Request;
use crate::policy::alias;

/// The note by which the handler finds the alias again: its number in the server's list. A note, because notes survive
/// the internal redirects of mod_dir, which everything else that a module attaches to a request does not.
const NOTE: &CStr = c"mod_wsgi.alias";

/// Maps a URL that an alias is for to its script.
pub fn translate_name(r: &mut Request<'_>) -> HookStatus {
    let uri = r.uri();
    if !uri.is_empty() && !uri.starts_with(b"/") {
        return HookStatus::Declined;
    }
    let Some(settings) = r.server().settings::<ServerSettings>() else { return HookStatus::Declined };
    let found = settings.aliases.iter().enumerate().find_map(|(i, a)| Some((i, filename(r, a, uri)?)));
    let Some((index, filename)) = found else { return HookStatus::Declined };
    let number = r.pool().text(Decimal::of(u32::try_from(index).unwrap_or(u32::MAX)).as_bytes());
    r.notes_mut().set(NOTE, number);
    r.notes_mut().set(c"alias-forced-type", c"wsgi-script");
    r.map_to(&filename, c"wsgi-script");
    if let Some(rest) = behind_script(&settings.aliases[index], &filename) {
        r.split_filename(rest.len());
    }
    HookStatus::Ok
}

/// What follows the alias's own target in a file name, if that may be a script and Apache would leave the rest as it
/// is.
fn behind_script<'f>(entry: &Alias, filename: &'f [u8]) -> Option<&'f [u8]> {
    let target = matches!(entry.pattern, Pattern::Prefix(_)).then(|| entry.target.as_bytes())?;
    filename.strip_prefix(target).filter(|rest| alias::is_plain_path(rest))
}

fn filename(r: &Request<'_>, entry: &Alias, uri: &[u8]) -> Option<Vec<u8>> {
    match &entry.pattern {
        Pattern::Prefix(prefix) => {
            let taken = alias::prefix(uri, prefix)?;
            Some(alias::filename(entry.target.as_bytes(), uri, prefix, taken))
        }
        Pattern::Regex(regex) => {
            let (end, mut filename) = regex.substitute(r.pool(), uri, &entry.target)?;
            filename.extend_from_slice(&uri[end..]);
            Some(filename)
        }
    }
}

/// The alias that mapped this request.
pub fn alias_of<'r>(r: &Request<'r>) -> Option<&'r Arc<Alias>> {
    let index: usize = std::str::from_utf8(r.notes().get(NOTE)?).ok()?.parse().ok()?;
    r.server().settings::<ServerSettings>()?.aliases.get(index)
}
