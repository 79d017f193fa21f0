//! Our providers of passwords and groups, as Apache's modules for authentication and authorization call them.

use std::ffi::{CStr, c_char, c_void};

use crate::httpd::auth::{self, Authn};
use crate::httpd::guard;
use crate::httpd::pool::Pool;
use crate::httpd::request::Request;
use crate::httpd::sys::{authn_provider, authn_status, authz_provider, authz_status, cmd_parms, request_rec};
use crate::request;

static USERS: authn_provider =
    authn_provider { check_password: Some(check_password), get_realm_hash: Some(get_realm_hash) };

static GROUPS: authz_provider =
    authz_provider { check_authorization: Some(check_authorization), parse_require_line: Some(parse_require_line) };

/// Registers the providers with httpd.
pub(super) fn register(pool: Pool<'_>) {
    auth::register(pool, &USERS, &GROUPS);
}

/// A string that httpd hands over; an empty one in the place of null.
///
/// # Safety
/// It is null, or lives for `'a`.
unsafe fn text<'a>(given: *const c_char) -> &'a CStr {
    // SAFETY: the caller's duty, and S6.
    if given.is_null() { c"" } else { unsafe { CStr::from_ptr(given) } }
}

unsafe extern "C" fn check_password(
    r: *mut request_rec,
    user: *const c_char,
    password: *const c_char,
) -> authn_status::Type {
    let check = || {
        // SAFETY: S1; it is the only one made of this request while the provider runs.
        let mut request = unsafe { Request::from_raw(r) };
        // SAFETY: S1: it lives in the request's pool.
        let user = unsafe { text(user) };
        // SAFETY: as above.
        let password = unsafe { text(password) };
        request::check_password(&mut request, user.to_bytes(), password)
    };
    guard::enter("check_password", check).code()
}

unsafe extern "C" fn get_realm_hash(
    r: *mut request_rec,
    user: *const c_char,
    realm: *const c_char,
    hash: *mut *mut c_char,
) -> authn_status::Type {
    let find = || {
        // SAFETY: S1; it is the only one made of this request while the provider runs.
        let mut request = unsafe { Request::from_raw(r) };
        // SAFETY: S1: it lives in the request's pool.
        let user = unsafe { text(user) };
        // SAFETY: it lives with the configuration.
        let realm = unsafe { text(realm) };
        match request::realm_hash(&mut request, user.to_bytes(), realm.to_bytes()) {
            Ok(found) => {
                // SAFETY: mod_auth_digest passes a valid place, and only reads the string, which lives in the request's
                // pool.
                unsafe { hash.write(found.as_ptr().cast_mut()) };
                Authn::Found
            }
            Err(answer) => answer,
        }
    };
    guard::enter("get_realm_hash", find).code()
}

unsafe extern "C" fn check_authorization(
    r: *mut request_rec,
    groups: *const c_char,
    _parsed: *const c_void,
) -> authz_status::Type {
    let check = || {
        // SAFETY: S1; it is the only one made of this request while the provider runs.
        let mut request = unsafe { Request::from_raw(r) };
        // SAFETY: it lives with the configuration.
        let groups = unsafe { text(groups) };
        request::check_groups(&mut request, groups.to_bytes())
    };
    guard::enter("check_authorization", check).code()
}

/// Refuses a `Require` line that names no group: it would keep everybody out without a word.
unsafe extern "C" fn parse_require_line(
    _parms: *mut cmd_parms,
    line: *const c_char,
    _parsed: *mut *const c_void,
) -> *const c_char {
    guard::enter("a directive", || {
        // SAFETY: it lives while the line is read.
        match unsafe { text(line) }.to_bytes().trim_ascii() {
            b"" => c"Require wsgi-group takes the names of groups, of which the user must be in one".as_ptr(),
            _ => std::ptr::null(),
        }
    })
}
