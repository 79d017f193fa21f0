//! The locale of the application.

use super::caller::Caller;
use crate::options::Options;

/// A locale with UTF-8 that exists without being installed; macOS has had it only of late.
const UTF8: &str = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };

/// Chooses the locale: the one that is asked for, else the caller's, but UTF-8 where that would be plain ASCII.
pub fn choose(options: &Options, caller: &Caller) -> String {
    let inherited = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| caller.variable(name));
    match options.identity.locale.as_deref().or(options.identity.lang.as_deref()).or(inherited) {
        None | Some("C" | "POSIX") => UTF8.to_owned(),
        Some(name) => name.to_owned(),
    }
}
