//! Access control: scripts that decide whether a request goes on, whose password that is, and in which groups a user
//! is. Whatever goes wrong lets nobody in.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use wsgi_wire::messages::{Topic, requests};
use wsgi_wire::question::{Answer, Question};

use super::question::{QuestionError, ask};
use crate::daemons;
use crate::directives::settings::{AskedScript, RequestSettings};
use crate::httpd::auth::{self, Authn, Authz};
use crate::httpd::request::Request;
use crate::httpd::{HookStatus, log};
use crate::policy::words;

/// Asks `WSGIAccessScript` whether the request goes on, is left to others, or is forbidden (the hook `access_checker`).
pub fn access_checker(r: &mut Request<'_>) -> HookStatus {
    let settings = r.settings::<RequestSettings>();
    let Some((settings, asked)) = settings.and_then(|s| Some((s, s.access_script.as_deref()?))) else {
        return HookStatus::Declined;
    };
    let host = r.remote_host().unwrap_or(r.client_ip());
    match ask(r, settings, asked, Question::access(host)) {
        Ok(Answer::Yes) => HookStatus::Ok,
        Ok(Answer::Unknown) => HookStatus::Declined,
        Ok(_) => {
            // Under `Satisfy Any` a password may still let the client in.
            let topic = if r.satisfies_any() { Topic::INFO } else { (&requests::ACCESS_DENIED).into() };
            let (script, uri) = (String::from_utf8_lossy(&asked.script), String::from_utf8_lossy(r.uri()));
            log::request(r, topic, format_args!("client denied by WSGIAccessScript {script}: {uri}"));
            HookStatus::Status(403)
        }
        Err(QuestionError::Script) => HookStatus::Status(403),
        Err(QuestionError::Unheard(status)) => HookStatus::Status(status),
    }
}

/// Returns the script that knows the users of this location, with the settings of that. If there is none, the log hears
/// of it.
fn user_script<'r>(r: &Request<'r>) -> Option<(&'r RequestSettings, &'r AskedScript)> {
    let settings = r.settings::<RequestSettings>();
    let found = settings.and_then(|settings| Some((settings, settings.auth_user_script.as_deref()?)));
    if found.is_none() {
        log::request(
            r,
            &requests::NO_USER_SCRIPT,
            format_args!("the provider wsgi has no WSGIAuthUserScript to ask about users"),
        );
    }
    found
}

/// Asks `check_password` of `WSGIAuthUserScript`, for `AuthBasicProvider wsgi` and its like. A name that the script
/// returns takes the place of the one that the client has given.
pub fn check_password(r: &mut Request<'_>, user: &[u8], password: &CStr) -> Authn {
    let Some((settings, script)) = user_script(r) else { return Authn::Error };
    match ask(r, settings, script, Question::password(user, password.to_bytes())) {
        Ok(Answer::Yes) => {
            if daemons::of_child().is_some_and(|runtime| runtime.caches_passwords) {
                if let Some(hash) = auth::hash(r, password) {
                    auth::remember(r, user, None, hash);
                }
            }
            Authn::Granted
        }
        // Nothing of this is remembered: whoever remembers would let the user in under the name that the client has
        // given.
        Ok(Answer::Text(name)) => {
            r.set_user(&name);
            Authn::Granted
        }
        Ok(Answer::No) => Authn::Denied,
        Ok(Answer::Unknown) => Authn::NotFound,
        Ok(_) | Err(_) => Authn::Error,
    }
}

/// Asks `get_realm_hash` of `WSGIAuthUserScript`, for `AuthDigestProvider wsgi`.
///
/// # Errors
/// The answer that httpd gets instead of the hash.
pub fn realm_hash<'r>(r: &mut Request<'r>, user: &[u8], realm: &[u8]) -> Result<&'r CStr, Authn> {
    let (settings, script) = user_script(r).ok_or(Authn::Error)?;
    match ask(r, settings, script, Question::realm_hash(user, realm)) {
        Ok(Answer::Text(hash)) => {
            let hash = r.pool().text(&hash);
            auth::remember(r, user, Some(realm), hash);
            Ok(hash)
        }
        Ok(Answer::Unknown) => Err(Authn::NotFound),
        Ok(_) | Err(_) => Err(Authn::Error),
    }
}

/// Asks `groups_for_user` of `WSGIAuthGroupScript` whether the user is in one of these groups, for `Require wsgi-group
/// …`.
pub fn check_groups(r: &mut Request<'_>, names: &[u8]) -> Authz {
    let Some(user) = r.user() else { return Authz::NoUser };
    let settings = r.settings::<RequestSettings>();
    let Some((settings, asked)) = settings.and_then(|s| Some((s, s.auth_group_script.as_deref()?))) else {
        log::request(
            r,
            &requests::NO_GROUP_SCRIPT,
            format_args!("Require wsgi-group has no WSGIAuthGroupScript to ask about groups"),
        );
        return Authz::Error;
    };
    let Ok(Answer::Groups(groups)) = ask(r, settings, asked, Question::groups(user)) else { return Authz::Error };
    let wanted = words::all(names);
    if wanted.iter().any(|name| groups.iter().any(|group| **group == **name)) {
        return Authz::Granted;
    }
    let (user, names) = (String::from_utf8_lossy(user).into_owned(), String::from_utf8_lossy(names));
    log::request(r, Topic::INFO, format_args!("user {user} is in none of the groups {names}"));
    Authz::Denied
}
