//! Users and groups, as httpd names them: by name, or `#number`.

use std::ffi::CString;
use std::ptr;

use super::bytes;
use super::pool::Pool;
use super::sys;
use super::user::User;

/// Looks a user up by name or `#uid`.
pub fn user(pool: Pool<'_>, text: &[u8]) -> Option<User> {
    let name = match number(text) {
        Some(uid) => user_name(pool, uid)?,
        None => CString::new(text).ok()?,
    };
    let (mut uid, mut gid, mut home) = (0, 0, ptr::null_mut());
    // SAFETY: a plain look-up that writes two numbers.
    if unsafe { sys::apr_uid_get(&raw mut uid, &raw mut gid, name.as_ptr(), pool.raw()) } != 0 {
        return None;
    }
    // SAFETY: a plain look-up that writes the address of a string in the pool.
    if unsafe { sys::apr_uid_homepath_get(&raw mut home, name.as_ptr(), pool.raw()) } != 0 {
        home = ptr::null_mut();
    }
    // SAFETY: null, or a string that lives in the pool.
    let home = unsafe { bytes(home) }.map(<[u8]>::to_vec);
    Some(User { uid, gid, name: name.into_bytes(), home })
}

/// The user with this number.
pub fn user_by_id(pool: Pool<'_>, uid: u32) -> Option<User> {
    user(pool, format!("#{uid}").as_bytes())
}

fn user_name(pool: Pool<'_>, uid: u32) -> Option<CString> {
    let mut name = ptr::null_mut();
    // SAFETY: writes the address of a string in the pool.
    if unsafe { sys::apr_uid_name_get(&raw mut name, uid, pool.raw()) } != 0 {
        return None;
    }
    // SAFETY: a string that lives in the pool.
    CString::new(unsafe { bytes(name) }?).ok()
}

/// Looks a group up by name or `#gid`; a number needs no entry.
pub fn group(pool: Pool<'_>, text: &[u8]) -> Option<u32> {
    if let Some(gid) = number(text) {
        return Some(gid);
    }
    let name = CString::new(text).ok()?;
    let mut gid = 0;
    // SAFETY: writes one number.
    (unsafe { sys::apr_gid_get(&raw mut gid, name.as_ptr(), pool.raw()) } == 0).then_some(gid)
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text.strip_prefix(b"#")?).ok()?.parse().ok()
}

/// `User` and `Group` of Apache's children: `None` unless Apache runs as root.
pub fn children() -> Option<(u32, u32)> {
    if !wsgi_unix::user::is_root() {
        return None;
    }
    // SAFETY: httpd writes the record while it is single-threaded (S2).
    let user = unsafe { sys::ap_unixd_config.user_id };
    // SAFETY: as above.
    Some((user, unsafe { sys::ap_unixd_config.group_id }))
}
